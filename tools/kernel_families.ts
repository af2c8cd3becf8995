/**
 * `deno task kernels add NAME...` takes in kernels whose structures are to be known beforehand, each a series of the test
 * matrix ("6.1"), a release of it ("6.1.0-47-amd64"), or any release with a file of its type information
 * ("4.18.0-custom=vmlinux.btf"); `deno task kernels build` makes the files of all families anew.
 */

import { KERNEL_FAMILIES } from "../bpf/kernels/families.gen.ts";
import { compileForKernel, minimizeBtf } from "./kernel_types.ts";
import { fetchKernel, type Kernel, KERNELS, type KernelSource } from "./kernels.ts";

const FOLDER = new URL("../bpf/kernels/", import.meta.url);
const CORE_OBJECT = new URL("../bpf/kprobe.bpf.o", import.meta.url);

type Families = Record<string, readonly string[]>;

type TypedKernel = Pick<Kernel, "series" | "release" | "btf">;

async function kernelOf(name: string): Promise<TypedKernel> {
  const at = name.indexOf("=");
  if (at < 0) return await fetchKernel(sourceOf(name));
  const release = name.slice(0, at);
  return { series: release, release, btf: name.slice(at + 1) };
}

/** The source of a series or of a release. */
function sourceOf(name: string): KernelSource {
  const source = KERNELS.find(({ series }) => name === series || name.startsWith(`${series}.`));
  if (source === undefined) {
    throw new RangeError(`Cannot find kernel "${name}": needed one of the series in tools/kernels.ts, or a release of one`);
  }
  return name === source.series ? source : { ...source, release: name, exactly: true };
}

/** Puts a kernel into the family that has the same offsets, or into a new one that is named after it. */
async function add(families: Families, kernel: TypedKernel): Promise<void> {
  const btf = await minimizeBtf(kernel.btf, CORE_OBJECT.pathname);
  const object = await compileForKernel(btf);
  for (const [family, releases] of Object.entries(families)) {
    if (!same(object, await Deno.readFile(new URL(`${family}.bpf.o`, FOLDER)))) continue;
    families[family] = [...new Set([...releases, kernel.release])].sort();
    console.log(`${kernel.release}: structures of family ${family}`);
    return;
  }
  const family = kernel.series in families ? kernel.release : kernel.series;
  families[family] = [kernel.release];
  await Deno.writeFile(new URL(`${family}.btf`, FOLDER), btf);
  await Deno.writeFile(new URL(`${family}.bpf.o`, FOLDER), object);
  console.log(`${kernel.release}: new family ${family}, ${btf.length} bytes of types, ${object.length} bytes of programs`);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function writeFamilies(families: Families): Promise<void> {
  const lines = Object.entries(families).map(([family, releases]) => `  ${JSON.stringify(family)}: ${JSON.stringify(releases)},\n`);
  await Deno.writeTextFile(
    new URL("families.gen.ts", FOLDER),
    "// Do not edit; made by `deno task kernels`.\n\n" +
      "/** Releases, as `uname -r` has them, of each family of kernels with the same structures. */\n" +
      `export const KERNEL_FAMILIES: Readonly<Record<string, readonly string[]>> = {\n${lines.join("")}};\n`,
  );
}

async function removeFiles(families: Families): Promise<void> {
  for (const family of Object.keys(families)) {
    for (const kind of ["btf", "bpf.o"]) await Deno.remove(new URL(`${family}.${kind}`, FOLDER));
  }
}

if (import.meta.main) {
  const [command, ...names] = Deno.args;
  if (command !== "add" && command !== "build" || command === "add" && names.length === 0) {
    console.error('Cannot tell what to do: needed "add NAME..." or "build"');
    Deno.exit(2);
  }
  const isBuild = command === "build";
  const families: Families = isBuild ? {} : { ...KERNEL_FAMILIES };
  if (isBuild) await removeFiles(KERNEL_FAMILIES);
  for (const name of isBuild ? Object.values(KERNEL_FAMILIES).flat() : names) await add(families, await kernelOf(name));
  await writeFamilies(families);
}
