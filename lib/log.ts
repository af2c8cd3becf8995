/** Log lines of the programs: JSON on stderr, a constant message and data in fields. */

export type LogLevel = "info" | "warn" | "error";
export type LogFields = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly string[] | Readonly<Record<string, number>>>
>;

const encoder = new TextEncoder();

/** Writes one line: time (RFC 3339), level, program, message and the fields. */
export function log(level: LogLevel, program: string, message: string, fields: LogFields = {}): void {
  const line = JSON.stringify({ time: new Date().toISOString(), level, program, message, ...fields });
  Deno.stderr.writeSync(encoder.encode(line + "\n"));
}

/** The chain of causes as one line for people: "Cannot x: y: cause: its cause". */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describeError(error.cause)}`;
}
