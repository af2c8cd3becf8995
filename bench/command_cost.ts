/** Runs a command and tells what it cost. */

export interface CommandCost {
  /** User and system time of the command with everything that it waited for. */
  readonly cpuSeconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The shell's own account of its children (POSIX, times), after what the command wrote. */
const WITH_TIMES = '"$@"; status=$?; times >&2; exit $status';
const CHILDREN_TIMES = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\n$/;

/** @throws {Error} If the command fails. */
export async function costOf(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandCost> {
  const output = await new Deno.Command("sh", {
    args: ["-c", WITH_TIMES, "sh", command, ...args],
    env: { ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const stdout = new TextDecoder().decode(output.stdout), stderr = new TextDecoder().decode(output.stderr);
  const times = CHILDREN_TIMES.exec(stderr);
  if (!output.success || times === null) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${stderr}`);
  const [userMinutes, user, systemMinutes, system] = times.slice(1).map(Number);
  return { cpuSeconds: 60 * (userMinutes! + systemMinutes!) + user! + system!, stdout, stderr };
}
