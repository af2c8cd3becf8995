/** Families of kernels whose structures are known beforehand, for kernels that do not tell them. */

import { readKernelFile } from "../ffi/libc.ts";
import { KERNEL_FAMILIES } from "../bpf/kernels/families.gen.ts";

/** What `uname -r` says. */
export function kernelRelease(): string {
  const bytes = readKernelFile("/proc/sys/kernel/osrelease", 256);
  return bytes === null ? "" : new TextDecoder().decode(bytes).trim();
}

/** The family of the running kernel, or null; a release is looked up exactly, as one letter more may mean another layout. */
export function findFamily(): string | null {
  const release = kernelRelease();
  return Object.entries(KERNEL_FAMILIES).find(([, releases]) => releases.includes(release))?.[0] ?? null;
}

/** Why the running kernel's structures are not known, or null. */
export function missingFamily(): string | null {
  if (findFamily() !== null) return null;
  const supported = Object.values(KERNEL_FAMILIES).flat().join(", ");
  return `kernel ${kernelRelease()} is not among those whose structures are known: ${supported}`;
}

/** A file of a family: "bpf.o", compiled for it, or "btf", the types that the CO-RE object needs. */
export function readFamilyFile(family: string, kind: "bpf.o" | "btf"): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`../bpf/kernels/${family}.${kind}`, import.meta.url));
}
