/** Describes this host: machine id, boot and name. */

import { readKernelFile } from "../ffi/libc.ts";
import type { HostDescription } from "./encode.ts";

/** Reads machine-id(5), the boot id and the host name. */
export function describeHost(): HostDescription {
  return {
    host_id: idBytes(readKernelFile("/etc/machine-id", 64)),
    boot_id: idBytes(readKernelFile("/proc/sys/kernel/random/boot_id", 64)),
    host_name: Deno.hostname(),
  };
}

/** 16 bytes of an id in hexadecimal, with or without hyphens; zero where it is absent or of another form. */
function idBytes(file: Uint8Array | null): Uint8Array {
  const hex = file === null ? "" : new TextDecoder().decode(file).trim().replaceAll("-", "");
  return /^[0-9a-f]{32}$/i.test(hex) ? Uint8Array.fromHex(hex) : new Uint8Array(16);
}
