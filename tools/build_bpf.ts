/** Compiles the kernel programs and writes the layouts that the agent reads events by; run by `deno task bpf`. */

import { type BtfTypes, readBtf } from "../lib/btf.ts";

const DIRECTORY = new URL("../bpf/", import.meta.url);

/** One generated file: the layouts of a header's structures, as an object's BTF has them. */
export interface LayoutFile {
  readonly object: string;
  readonly header: string;
  readonly path: string;
  readonly structs: readonly string[];
  readonly enums: readonly string[];
}

export const LAYOUT_FILES: readonly LayoutFile[] = [
  {
    object: "tp_btf",
    header: "bpf/tcp_event.h",
    path: "bpf/tcp_event.gen.ts",
    structs: ["tcp_event", "process_event", "socket_elsewhere"],
    enums: ["event_kind", "attribution", "first_fin", "counter"],
  },
  {
    object: "udp",
    header: "bpf/udp_flow.h",
    path: "bpf/udp_flow.gen.ts",
    structs: ["udp_key", "udp_flow", "udp_socket"],
    enums: ["udp_flag", "udp_counter"],
  },
  { object: "kprobe", header: "bpf/kprobe_hook.h", path: "bpf/kprobe_hook.gen.ts", structs: [], enums: ["kprobe_hook"] },
];

/** Compiler whose output is committed; another version makes other bytes from the same source. */
export const CLANG_MAJOR = 14;

/** Programs by object: one object a rung of the ladder, and for UDP beside them one of two. */
export const OBJECTS = ["tp_btf", "kprobe", "udp", "udp_functions"];

/**
 * Compiles one object in memory.
 *
 * @param options Further options of the compiler.
 * @throws {Error} If clang or llvm-strip is missing or fails; the message holds what they printed.
 */
export async function compileObject(name: string, options: readonly string[] = []): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir();
  const output = `${folder}/${name}.bpf.o`;
  try {
    await run(`clang-${CLANG_MAJOR}`, [
      "-g",
      "-O2",
      "-mcpu=v3",
      "-Wall",
      "-Werror",
      "-target",
      "bpf",
      `-D__TARGET_ARCH_${Deno.build.arch === "aarch64" ? "arm64" : "x86"}`,
      "-idirafter",
      `/usr/include/${Deno.build.arch}-linux-gnu`,
      "-fdebug-compilation-dir=.",
      ...options,
      "-c",
      `${name}.bpf.c`,
      "-o",
      output,
    ]);
    await run(`llvm-strip-${CLANG_MAJOR}`, ["-g", output]);
    return await Deno.readFile(output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(command: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, cwd: DIRECTORY, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${new TextDecoder().decode(stderr)}`);
}

/** Source text of the layouts in an object's BTF. */
export function generateLayouts({ header, structs, enums }: LayoutFile, object: Uint8Array): string {
  const types = readBtf(object);
  return `// Do not edit; made by \`deno task bpf\` from ${header}.\n` +
    structs.map((name) => structSource(types, name)).join("") + enums.map((name) => enumSource(types, name)).join("");
}

function structSource(types: BtfTypes, name: string): string {
  const struct = types.structs.get(name);
  if (struct === undefined) throw new Error(`Cannot generate layouts: struct "${name}" is not in the object's BTF`);
  const fields = struct.fields.map((f) => `    ${f.name}: { offset: ${f.offset}, size: ${f.size} },\n`).join("");
  return `\nexport const ${name.toUpperCase()} = {\n  size: ${struct.size},\n  fields: {\n${fields}  },\n} as const;\n`;
}

function enumSource(types: BtfTypes, name: string): string {
  const values = types.enums.get(name)?.values;
  if (values === undefined) throw new Error(`Cannot generate layouts: enum "${name}" is not in the object's BTF`);
  return `\nexport const ${name.toUpperCase()} = {\n${[...values].map(([key, value]) => `  ${key}: ${value},\n`).join("")}} as const;\n`;
}

if (import.meta.main) {
  for (const name of OBJECTS) {
    const object = await compileObject(name);
    await Deno.writeFile(new URL(`${name}.bpf.o`, DIRECTORY), object);
    console.log(`bpf/${name}.bpf.o: ${object.length} bytes`);
  }
  for (const file of LAYOUT_FILES) {
    const object = await Deno.readFile(new URL(`${file.object}.bpf.o`, DIRECTORY));
    await Deno.writeTextFile(new URL(`../${file.path}`, DIRECTORY), generateLayouts(file, object));
  }
}
