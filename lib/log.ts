/** Log lines of the programs: JSON on stderr, a constant message and data in fields. */

/** From the least to the most pressing. */
export const LOG_LEVELS = ["info", "warn", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];
export type LogFields = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly string[] | Readonly<Record<string, number>>>
>;

const encoder = new TextEncoder();
let leastLevel = 0;

/** From now on lines below the level are left out. */
export function setLogLevel(level: LogLevel): void {
  leastLevel = LOG_LEVELS.indexOf(level);
}

/** Writes one line: time (RFC 3339), level, program, message and the fields. */
export function log(level: LogLevel, program: string, message: string, fields: LogFields = {}): void {
  if (LOG_LEVELS.indexOf(level) < leastLevel) return;
  const line = JSON.stringify({ time: new Date().toISOString(), level, program, message, ...fields });
  Deno.stderr.writeSync(encoder.encode(line + "\n"));
}

/** The chain of causes as one line for people: "Cannot x: y: cause: its cause". What failed first counts, not what it was let go with. */
export function describeError(error: unknown): string {
  if (error instanceof SuppressedError) return describeError(error.suppressed);
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describeError(error.cause)}`;
}
