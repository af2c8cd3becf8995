/** What a repair cannot restore, and which of it somebody has said may be given up. */

import { LakeError } from "../lake/delta_log.ts";
import { TABLES } from "../lake/tables.ts";

/** Losses that the message names; the others are counted. */
const NAMED_MAX = 5;

/** Something of the lake that is gone for good. */
export interface Loss {
  /** Below the lake, as `--accept-loss` takes it: the folder of an hour or day, or a file of a log. */
  readonly place: string;
  readonly rows: number;
  /** Goes on from "FILES of ROWS rows, ". */
  readonly why: string;
}

/** @throws {SyntaxError} If the text names nothing of a lake. */
export function parseLossPlace(text: string): string {
  const place = text.replace(/\/+$/, "");
  if (TABLES.some(({ name }) => place === name || place.startsWith(`${name}/`))) return place;
  throw new SyntaxError(
    `Cannot give up "${text}": needed a table, or a folder or file of one as the error names it, such as "flow/date=2026-01-02/hour=3"`,
  );
}

/** @param accepted Places; each stands for all that is below it. */
export function isAccepted(accepted: readonly string[], place: string): boolean {
  return accepted.some((given) => place === given || place.startsWith(`${given}/`));
}

/** What is lost, why, and the command that gives it up. */
export function lossError(lake: string, topicUrl: string | null, losses: readonly Loss[]): LakeError {
  const places = [...new Set(losses.map(({ place }) => place))];
  const alike = [...Map.groupBy(losses, ({ place, why }) => `${place}\n${why}`).values()];
  const named = alike.slice(0, NAMED_MAX).map((some) =>
    `"${some[0]!.place}" lacks ${some.length} ${some.length === 1 ? "file" : "files"} of ${
      some.reduce((sum, { rows }) => sum + rows, 0)
    } rows, ${some[0]!.why}`
  ).join("; ");
  const more = alike.length > NAMED_MAX ? `; and ${alike.length - NAMED_MAX} more` : "";
  const given = places.length <= NAMED_MAX ? places : [...new Set(places.map((place) => place.split("/")[0]!))];
  const command = `jobs repair --lake ${lake}${topicUrl === null ? "" : ` --topic ${topicUrl}`} ${
    given.map((place) => `--accept-loss ${place}`).join(" ")
  }`;
  return new LakeError(`Cannot restore all of lake "${lake}": ${named}${more}; restore it from a copy, or give it up with "${command}"`);
}
