/** The library that brings a fault into a process at one of its steps (fault.c), built, and the environment that tells it which. */

/** What befalls a process just before one of its steps; fault.c says more. */
export type StepDeed = "count" | "kill" | "stop" | "eio" | "full" | "torn" | "power" | "clock";

export interface StepFault {
  readonly deed: StepDeed;
  /** From 1: the step of the process, in the folder, before which it is done. */
  readonly step: number;
  /** Of a clock that jumps. */
  readonly seconds: number;
}

/** Compiles the library into `folder`. @throws {Error} If the compiler fails. */
export async function buildPreload(folder: string): Promise<string> {
  const path = `${folder}/fault.so`;
  const { success, stderr } = await new Deno.Command("cc", {
    args: ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", path, new URL("fault.c", import.meta.url).pathname, "-ldl"],
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot build the fault library: ${new TextDecoder().decode(stderr)}`);
  return path;
}

/** Environment of a process that the fault is to befall. */
export function faultEnvironment(
  library: string,
  folder: string,
  logPath: string,
  { deed, step, seconds }: StepFault,
): Record<string, string> {
  return {
    LD_PRELOAD: library,
    FAULT_FOLDER: folder,
    FAULT_LOG: logPath,
    FAULT_DEED: deed,
    FAULT_STEP: String(step),
    FAULT_SECONDS: String(seconds),
  };
}

/** What the library wrote about its process. */
export interface FaultReport {
  /** "write part-0.parquet" and the like; null where the process did not come so far. */
  readonly struck: string | null;
  /** Steps of a process that ended by itself. */
  readonly steps: number | null;
}

export async function readFaultLog(path: string): Promise<FaultReport> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { struck: null, steps: null };
    throw error;
  }
  const failed = /^FAILED .*$/m.exec(text);
  if (failed !== null) throw new Error(`Cannot bring a fault: ${failed[0]}`);
  const struck = /^\d+ (\w+) (.*)$/m.exec(text), steps = [...text.matchAll(/^STEPS (\d+)$/gm)].map((match) => Number(match[1]));
  return {
    struck: struck === null ? null : `${struck[1]} ${struck[2]!.split("/").slice(-2).join("/")}`,
    steps: steps.length === 0 ? null : Math.max(...steps),
  };
}
