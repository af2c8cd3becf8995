/** `deno task compile`: makes one executable of the agent, where Deno's runtime for that (denort) can be had. */

import { taskArguments } from "../chain/program.ts";
import { kernelProgramFiles } from "./kernel_programs.ts";

const PROJECT = new URL("../", import.meta.url);

/**
 * Arguments of `deno` for it: the permissions are those of the agent's task, and the kernel programs are taken in.
 *
 * @param output Path of the executable.
 */
async function compileArguments(output: string): Promise<string[]> {
  const words = await taskArguments("agent");
  return [
    "compile",
    ...words.slice(1, -1),
    ...kernelProgramFiles().flatMap((name) => ["--include", `bpf/${name}`]),
    "--output",
    output,
    words.at(-1)!,
  ];
}

/** Whether the file that DENORT_BIN names is there. */
async function hasRuntime(): Promise<boolean> {
  const path = Deno.env.get("DENORT_BIN");
  if (path === undefined) return false;
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) {
  if (!await hasRuntime()) {
    console.error(
      `Cannot compile: DENORT_BIN names no file, needed the path of "denort" ${Deno.version.deno} for ${Deno.build.target}, Deno's runtime ` +
        `for compiled programs, from Deno's releases; without it, "deno task package" makes a Debian package that brings Deno along`,
    );
    Deno.exit(1);
  }
  const output = Deno.args[0] ?? new URL("data/skyfall-agent", PROJECT).pathname;
  const { code } = await new Deno.Command(Deno.execPath(), { args: await compileArguments(output), cwd: PROJECT }).output();
  Deno.exit(code);
}
