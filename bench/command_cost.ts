/** Runs a command and tells what it cost. */

import { taskArguments } from "../chain/program.ts";

export interface CommandCost {
  /** User and system time of the command with everything that it waited for. */
  readonly cpuSeconds: number;
  /** From its start to its end. */
  readonly seconds: number;
  /** Most memory of the command that was resident, as it was seen last. */
  readonly peakBytes: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The shell's own account of its children (POSIX, times), after what the command wrote. */
const WITH_TIMES = '"$@"; status=$?; times >&2; exit $status';
const CHILDREN_TIMES = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\n$/;

/** How often the memory is looked at; the kernel keeps the peak itself. */
const MEMORY_INTERVAL_MS = 50;

/** Runs a command of `jobs`. @throws {Error} If it fails. */
export async function costOfJobs(...args: string[]): Promise<CommandCost> {
  return await costOf(Deno.execPath(), [...await taskArguments("jobs"), ...args]);
}

/** @throws {Error} If the command fails. */
export async function costOf(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandCost> {
  const startMs = performance.now();
  const child = new Deno.Command("sh", {
    args: ["-c", WITH_TIMES, "sh", command, ...args],
    env: { ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let peakBytes = 0;
  const timer = setInterval(() => peakBytes = Math.max(peakBytes, peakOfChild(child.pid)), MEMORY_INTERVAL_MS);
  const output = await child.output();
  clearInterval(timer);
  const seconds = (performance.now() - startMs) / 1_000;
  const stdout = new TextDecoder().decode(output.stdout), stderr = new TextDecoder().decode(output.stderr);
  const times = CHILDREN_TIMES.exec(stderr);
  if (!output.success || times === null) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${stderr}`);
  const [userMinutes, user, systemMinutes, system] = times.slice(1).map(Number);
  return { cpuSeconds: 60 * (userMinutes! + systemMinutes!) + user! + system!, seconds, peakBytes, stdout, stderr };
}

/** Peak of the shell's one child (proc(5), VmHWM), 0 where it has none just now. */
function peakOfChild(shell: number): number {
  try {
    const [child] = Deno.readTextFileSync(`/proc/${shell}/task/${shell}/children`).trim().split(" ");
    const kib = /^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${child}/status`))?.[1];
    return Number(kib ?? 0) * 1_024;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0; // it has ended
    throw error;
  }
}
