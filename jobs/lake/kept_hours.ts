/** Which hours of `flow` have their conversations in `conversation_1m`, of exactly the files that `flow` has now. */

import { createHash } from "node:crypto";
import { CONVERSATION_SCHEMA_VERSION } from "../../lib/conversation_columns.ts";
import type { AddFile, Snapshot } from "./delta_log.ts";

/** Tag of a file of `conversation_1m`: what its rows were found from, as of `sourceOf()`. */
export const SOURCE_TAG = "skyfall.source";

/** Values of the partition columns. */
export interface Hour {
  readonly date: string;
  readonly hour: string;
}

type Files = Pick<Snapshot, "files">;

/** Of files of `flow`, so that no others have the same. */
export function sourceOf(files: readonly AddFile[]): string {
  const paths = files.map(({ path }) => path).sort();
  return createHash("sha256").update([CONVERSATION_SCHEMA_VERSION, ...paths].join("\n")).digest("hex");
}

/** Files by the hour that they are of; those of no hour are left out. */
export function filesByHour({ files }: Files): { readonly hour: Hour; readonly files: readonly AddFile[] }[] {
  const groups = Map.groupBy(files.values(), ({ partitionValues: { date, hour } }) => date && hour ? `${date} ${hour}` : "");
  groups.delete("");
  return [...groups].map(([key, files]) => ({ hour: { date: key.split(" ")[0]!, hour: key.split(" ")[1]! }, files }));
}

/** Hours whose conversations need not be found again: nothing came to their flows since, and nothing went. */
export function keptHours(flow: Files, conversations: Files): Hour[] {
  const sources = new Map(filesByHour(flow).map(({ hour, files }) => [keyOf(hour), sourceOf(files)]));
  return filesByHour(conversations).filter(({ hour, files }) =>
    files.length === 1 && files[0]!.tags?.[SOURCE_TAG] === sources.get(keyOf(hour))
  )
    .map(({ hour }) => hour);
}

export function keyOf({ date, hour }: Hour): string {
  return `${date} ${hour}`;
}
