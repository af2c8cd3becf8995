/** What a command of `jobs` costs: a process of its own, looked at while it runs. */

import { taskArguments } from "../chain/program.ts";
import { cpuSeconds, pause } from "./processes.ts";

const SAMPLE_MS = 50;

export interface JobCost {
  /** Seconds. */
  readonly cpu: number;
  readonly seconds: number;
  readonly peakMb: number;
}

/** Runs a command of `jobs` in a process of its own. @throws {Error} If it fails. */
export async function jobCost(...args: string[]): Promise<JobCost> {
  const startMs = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...await taskArguments("jobs"), ...args],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  let isRunning = true, cpu = 0, peakMb = 0;
  const ended = child.status.then(({ success }) => {
    isRunning = false;
    if (!success) throw new Error(`Cannot run jobs ${args.join(" ")}`);
  });
  while (isRunning) {
    const sample = await sampled(child.pid);
    if (sample !== null) ({ cpu, peakMb } = sample);
    await pause(SAMPLE_MS);
  }
  await ended;
  return { cpu, peakMb, seconds: (performance.now() - startMs) / 1_000 };
}

/** Null where the process has just ended. */
async function sampled(pid: number): Promise<{ readonly cpu: number; readonly peakMb: number } | null> {
  try {
    const kib = /^VmHWM:\s*(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1];
    return kib === undefined ? null : { cpu: await cpuSeconds(pid), peakMb: Number(kib) / 1_024 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Error && /os error 3\b/.test(error.message)) return null;
    throw error;
  }
}
