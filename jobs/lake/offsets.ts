/** Offsets of topic partitions, as files and commits of the lake tell them: `{"TOPIC:PARTITION": ["FROM", "TO"]}`. */

import { jsonOf, LakeError } from "./actions.ts";

/** Tag of a file with the offsets that its rows came from. */
export const OFFSETS_TAG = "skyfall.offsets";

/** Messages of one topic partition. */
export interface OffsetSpan {
  readonly topicName: string;
  readonly partition: number;
  readonly from: bigint;
  /** Exclusive. */
  readonly to: bigint;
}

export function formatOffsets(spans: readonly OffsetSpan[]): string {
  return JSON.stringify(
    Object.fromEntries(spans.map(({ topicName, partition, from, to }) => [`${topicName}:${partition}`, [String(from), String(to)]])),
  );
}

/** @throws {LakeError} If the text is anything else. */
export function parseOffsets(text: string): OffsetSpan[] {
  const parsed = jsonOf(text), wrong = () => new LakeError(`Cannot read offsets "${text}": needed {"TOPIC:PARTITION": ["FROM", "TO"]}`);
  if (typeof parsed !== "object" || parsed === null) throw wrong();
  return Object.entries<unknown>({ ...parsed }).map(([source, range]) => {
    const place = /^(.*):(\d+)$/.exec(source);
    if (!Array.isArray(range) || range.length !== 2 || place === null) throw wrong();
    return { topicName: place[1]!, partition: Number(place[2]), from: BigInt(String(range[0])), to: BigInt(String(range[1])) };
  });
}
