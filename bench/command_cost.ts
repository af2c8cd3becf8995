/** Runs a command and tells what it cost. */

import { pause } from "./processes.ts";

export interface CommandCost {
  /** User and system time of the command with everything that it waited for. */
  readonly cpuSeconds: number;
  /** Most memory that the command itself had resident. */
  readonly peakBytes: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The shell's own account of its children (POSIX, times), after what the command wrote. */
const WITH_TIMES = '"$@"; status=$?; times >&2; exit $status';
const SAMPLE_MS = 50;
const CHILDREN_TIMES = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\n$/;

/** @throws {Error} If the command fails. */
export async function costOf(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandCost> {
  const shell = new Deno.Command("sh", {
    args: ["-c", WITH_TIMES, "sh", command, ...args],
    env: { ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isRunning = true, peakBytes = 0;
  const ended = shell.output().finally(() => isRunning = false);
  while (isRunning) {
    peakBytes = await peakOfChild(shell.pid) ?? peakBytes;
    await pause(SAMPLE_MS);
  }
  const output = await ended;
  const stdout = new TextDecoder().decode(output.stdout), stderr = new TextDecoder().decode(output.stderr);
  const times = CHILDREN_TIMES.exec(stderr);
  if (!output.success || times === null) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${stderr}`);
  const [userMinutes, user, systemMinutes, system] = times.slice(1).map(Number);
  return { cpuSeconds: 60 * (userMinutes! + systemMinutes!) + user! + system!, peakBytes, stdout, stderr };
}

/** Of the first child of a process, what proc(5)'s status says; null where it has none, or it has just ended. */
async function peakOfChild(pid: number): Promise<number | null> {
  try {
    const [child] = (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).split(" ");
    if (child === undefined || child === "") return null;
    const kib = /^VmHWM:\s*(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${child}/status`))?.[1];
    return kib === undefined ? null : Number(kib) * 1_024;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Error && /os error 3\b/.test(error.message)) return null;
    throw error;
  }
}
