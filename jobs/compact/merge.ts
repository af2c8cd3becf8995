/** Makes one sorted file of several, with the same rows. */

import type { Database, Row } from "../duckdb.ts";
import { type DataFile, writeDataFile } from "../lake/data_file.ts";
import { type AddFile, LakeError } from "../lake/delta_log.ts";
import { DIGEST_TAG, fileDigest, hasItsBytes } from "../lake/file_digest.ts";
import { formatOffsets, OFFSETS_TAG, type OffsetSpan, parseOffsets } from "../lake/offsets.ts";
import { damagedFileError, dataFilePath, selectFiles, sizeOf, type TableDefinition } from "../lake/table.ts";
import { type Merge, SORTED_TAG, sortedTag } from "./plan.ts";

/** Begins the name of every file that compaction writes. */
export const MERGED_PREFIX = "compact";

/**
 * Writes the merge's file; it becomes part of the table with the commit that names it.
 *
 * @throws {LakeError} If an input is not as it was committed, the disk fails or is full, or the file would have other rows than its
 *   inputs.
 */
export async function writeMerged(
  database: Database,
  directory: string,
  definition: TableDefinition,
  { partition, inputs }: Merge,
): Promise<AddFile> {
  await assertInputs(directory, inputs);
  const rows = selectFiles(directory, definition, inputs.map(({ path }) => path));
  const before = await digest(database, rows);
  const file: DataFile = {
    select: `${rows} order by ${definition.sortColumns.join(", ")}`,
    name: `${MERGED_PREFIX}-${crypto.randomUUID()}`,
    partition,
    tags: { [SORTED_TAG]: sortedTag(definition), ...await offsetsTag(database, definition, rows, inputs) },
  };
  const add = await writeDataFile(database, directory, definition, file), path = dataFilePath(directory, add.path);
  const sha256 = await fileDigest(path); // before it is read back: what was compared is what is noted
  const after = await digest(database, selectFiles(directory, definition, [add.path]));
  if (before.rows === after.rows && before.hash === after.hash) return { ...add, tags: { ...add.tags, [DIGEST_TAG]: sha256 } };
  await Deno.remove(path);
  throw new LakeError(
    `Cannot compact ${inputs.length} files of "${directory}": they have ${before.rows} rows, the file made of them ${after.rows}${
      before.rows === after.rows ? " others" : ""
    }; nothing was changed`,
  );
}

/** A file that was changed since it was committed must not become another's rows. */
async function assertInputs(directory: string, inputs: readonly AddFile[]): Promise<void> {
  for (const file of inputs) {
    const path = dataFilePath(directory, file.path), size = await sizeOf(path);
    if (size === file.size && await hasItsBytes(path, file)) continue;
    throw damagedFileError("compact", directory, path, size, file.size);
  }
}

interface Digest {
  readonly rows: string;
  /** Sum of a hash over all columns of each row, so that any order gives the same. */
  readonly hash: string;
}

async function digest(database: Database, select: string): Promise<Digest> {
  const [row] = await database.rows(
    `select count(*)::varchar as rows, coalesce(sum(hash(r)::hugeint), 0)::varchar as hash from (${select}) r`,
  );
  return { rows: String(row!["rows"]), hash: String(row!["hash"]) };
}

/** The union of the inputs' ranges, or, where one does not tell, what the rows say. */
async function offsetsTag(
  database: Database,
  definition: TableDefinition,
  select: string,
  inputs: readonly AddFile[],
): Promise<Record<string, string>> {
  const known = inputs.map(({ tags }) => tags?.[OFFSETS_TAG]).filter((text) => text !== undefined);
  if (known.length === inputs.length) return { [OFFSETS_TAG]: formatOffsets(unionOf(known.flatMap(parseOffsets))) };
  if (!definition.columns.some(({ name }) => name === "src_offset")) return {};
  const rows = await database.rows(
    `select src_topic, src_partition, min(src_offset)::varchar as first, (max(src_offset) + 1)::varchar as next
    from (${select}) group by all order by all`,
  );
  return { [OFFSETS_TAG]: formatOffsets(rows.map(spanOf)) };
}

function spanOf({ src_topic, src_partition, first, next }: Row): OffsetSpan {
  return { topicName: String(src_topic), partition: Number(src_partition), from: BigInt(String(first)), to: BigInt(String(next)) };
}

/** Of each partition, the span from the first to the last. */
function unionOf(spans: readonly OffsetSpan[]): OffsetSpan[] {
  const union = new Map<string, OffsetSpan>();
  for (const span of spans) {
    const place = `${span.topicName}:${span.partition}`, { from, to } = union.get(place) ?? span;
    union.set(place, { ...span, from: span.from < from ? span.from : from, to: span.to > to ? span.to : to });
  }
  return [...union.values()];
}
