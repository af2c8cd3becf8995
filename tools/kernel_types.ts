/** What the kernel programs need to know of one kernel: the few types that they read, as BTF, as C, and compiled in. */

import { CLANG_MAJOR, compileObject } from "./build_bpf.ts";

/** A type as `bpftool btf dump --json` tells it. */
interface BtfType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly members?: readonly { readonly name: string; readonly type_id: number; readonly bits_offset: number }[];
}

const ANONYMOUS = "(anon)";

/** The types that the CO-RE object reads, out of all types of a kernel; some kB. */
export async function minimizeBtf(btf: string, object: string): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir();
  try {
    await run("bpftool", "gen", "min_core_btf", btf, `${folder}/min.btf`, object);
    return await Deno.readFile(`${folder}/min.btf`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * The object of rung kprobe-elf for one kernel: the offsets of its structures are compiled in.
 *
 * @throws {Error} If bpftool or clang is missing or fails, or C lays out a structure otherwise than the kernel.
 */
export async function compileForKernel(btf: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/min.btf`, btf);
    const header = await run("bpftool", "btf", "dump", "file", `${folder}/min.btf`, "format", "c");
    const { types } = JSON.parse(await run("bpftool", "--json", "btf", "dump", "file", `${folder}/min.btf`)) as { types: BtfType[] };
    const parent = `#define KERNFS_PARENT ${header.includes("*__parent;") ? "__parent" : "parent"}`; // bpf/cgroup_names.bpf.h
    await Deno.writeTextFile(`${folder}/kernel_types.h`, [adaptHeader(header), parent, ...assertions(types), ""].join("\n"));
    const options = [`-I${folder}`, "-DSKYFALL_KERNEL_TYPES=<kernel_types.h>", "-DBPF_NO_PRESERVE_ACCESS_INDEX"];
    await Deno.writeFile(`${folder}/whole.o`, await compileObject("kprobe", options));
    // Without relocations to make, what is left in .BTF.ext are source lines: most of the file.
    await run(`llvm-objcopy-${CLANG_MAJOR}`, "-R", ".BTF.ext", "-R", ".rel.BTF.ext", `${folder}/whole.o`, `${folder}/small.o`);
    return await Deno.readFile(`${folder}/small.o`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * A bit-field has no address to read from: it becomes the byte that it begins; who reads it takes the bits that are its own.
 * The header must not pass for a whole one, in which libbpf's headers would find the registers, and what <linux/bpf.h> has
 * must not be there twice.
 */
function adaptHeader(header: string): string {
  const partial = header.replaceAll("__VMLINUX_H__", "SKYFALL_KERNEL_TYPES_H").replace(/^enum bpf_func_id \{[^}]*\};$/m, "");
  return partial.replace(/^(\s*[\w ]+ \w+): \d+;$/gm, "$1;");
}

/** One assertion for each named field of each named structure, so that C and the kernel cannot differ. */
function assertions(types: readonly BtfType[]): string[] {
  const byId = new Map(types.map((type) => [type.id, type]));
  return types.filter(({ kind, name }) => kind === "STRUCT" && name !== ANONYMOUS).flatMap((struct) =>
    [...fieldsOf(struct, 0, byId)].map(([field, bits]) =>
      `_Static_assert(__builtin_offsetof(struct ${struct.name}, ${field}) == ${bits / 8}, "${struct.name}.${field}");`
    )
  );
}

function* fieldsOf(type: BtfType, atBits: number, types: ReadonlyMap<number, BtfType>): Generator<[name: string, bits: number]> {
  for (const { name, type_id, bits_offset } of type.members ?? []) {
    if (name !== ANONYMOUS) yield [name, atBits + bits_offset];
    else yield* fieldsOf(types.get(type_id)!, atBits + bits_offset, types);
  }
}

async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], stdout: "piped", stderr: "piped" }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${text}${new TextDecoder().decode(stderr)}`);
  return text;
}
