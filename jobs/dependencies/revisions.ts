/**
 * Which revisions a commit to `edge_1m` holds, as its `commitInfo` tells: from it and the rows of their offsets, the commit's edges
 * can be made again.
 */

import { z } from "zod";
import { jsonOf, LakeError } from "../lake/actions.ts";
import { MINUTE_US } from "./message_rows.ts";
import type { Told } from "./partition.ts";

/** Name of the operation's parameter. */
export const REVISIONS_PARAMETER = "revisions";

/** One revision of a minute: rows of these offsets. */
export interface Revision {
  readonly topicName: string;
  readonly partition: number;
  /** Begin of the minute, microseconds since 1970. */
  readonly startUs: number;
  readonly offsetFrom: number;
  readonly offsetTo: number;
  readonly revision: number;
}

const Whole = z.number().int();
const Revisions = z.record(z.string(), z.array(z.tuple([Whole, Whole, Whole, Whole])));

/** @param told By "TOPIC:PARTITION". */
export function formatRevisions(told: readonly (readonly [place: string, told: readonly Told[]])[]): string {
  const places = told.map(([place, minutes]) => [
    place,
    minutes.map(({ minute, offsetFrom, offsetTo, revision }) => [minute, Number(offsetFrom), Number(offsetTo), Number(revision)]),
  ]);
  return JSON.stringify(Object.fromEntries(places));
}

/** Null where the commit does not tell, as those of older versions. @throws {LakeError} If it tells something else. */
export function parseRevisions(text: unknown): Revision[] | null {
  if (typeof text !== "string") return null;
  const parsed = Revisions.safeParse(jsonOf(text));
  if (!parsed.success) {
    throw new LakeError(`Cannot read revisions "${text}" of a commit: needed {"TOPIC:PARTITION": [[MINUTE, FROM, TO, REVISION]]}`);
  }
  return Object.entries(parsed.data).flatMap(([source, minutes]) => {
    const at = source.lastIndexOf(":");
    return minutes.map(([minute, offsetFrom, offsetTo, revision]) => ({
      topicName: source.slice(0, at),
      partition: Number(source.slice(at + 1)),
      startUs: minute * MINUTE_US,
      offsetFrom,
      offsetTo,
      revision,
    }));
  });
}
