/** What an audit looks at, and what it finds wrong. */

/** Something that is not as it must be. */
export interface Problem {
  /** File, version or offsets. */
  readonly where: string;
  readonly what: string;
  /** Command or deed that puts it right. */
  readonly repair: string;
}

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  /** What was looked at, for people. */
  readonly examined: string;
  readonly problems: readonly Problem[];
  /** What was found that is no problem of the lake, but of what it holds. */
  readonly told?: readonly string[];
}

/** Offsets as people write them: "topic partition 3 offset 7" or "offsets 7 to 9". */
export function placeOf(topic: string, partition: number, from: bigint, to: bigint): string {
  const last = to - 1n;
  return `"${topic}" partition ${partition} ${from === last ? `offset ${from}` : `offsets ${from} to ${last}`}`;
}
