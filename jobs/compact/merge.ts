/** Makes one sorted file of several, with the same rows. */

import type { Database, Row } from "../duckdb.ts";
import { type DataFile, writeDataFile } from "../lake/data_file.ts";
import { type AddFile, LakeError } from "../lake/delta_log.ts";
import { formatOffsets, OFFSETS_TAG, type OffsetSpan, parseOffsets } from "../lake/offsets.ts";
import { dataFilePath, selectFiles, type TableDefinition } from "../lake/table.ts";
import { FLOW } from "../lake/tables.ts";
import { CHECKSUM_SQL } from "../row_checksum.ts";
import { type Merge, SORTED_TAG, sortedTag } from "./plan.ts";

export const CHECKSUM_TAG = "skyfall.checksum";

/** Begins the name of every file that compaction writes. */
export const MERGED_PREFIX = "compact";

/**
 * Writes the merge's file; it becomes part of the table with the commit that names it.
 *
 * @throws {LakeError} If an input cannot be read, the disk fails or is full, or the file would have other rows than its inputs.
 */
export async function writeMerged(
  database: Database,
  directory: string,
  definition: TableDefinition,
  { partition, inputs }: Merge,
): Promise<AddFile> {
  const rows = selectFiles(directory, definition, inputs.map(({ path }) => path)), known = knownChecksum(definition, inputs);
  const before = await digest(database, rows, null);
  const file: DataFile = {
    select: `${rows} order by ${definition.sortColumns.join(", ")}`,
    name: `${MERGED_PREFIX}-${crypto.randomUUID()}`,
    partition,
    tags: { [SORTED_TAG]: sortedTag(definition), ...await offsetsTag(database, definition, rows, inputs) },
  };
  const add = await writeDataFile(database, directory, definition, file);
  const written = selectFiles(directory, definition, [add.path]);
  const after = await digest(database, written, definition === FLOW && known === null ? CHECKSUM_SQL : null);
  if (before.rows === after.rows && before.hash === after.hash) {
    const checksum = known ?? after.checksum;
    return checksum === null ? add : { ...add, tags: { ...add.tags, [CHECKSUM_TAG]: checksum } };
  }
  await Deno.remove(dataFilePath(directory, add.path));
  throw new LakeError(
    `Cannot compact ${inputs.length} files of "${directory}": they have ${before.rows} rows, the file made of them ${after.rows}${
      before.rows === after.rows ? " others" : ""
    }; nothing was changed`,
  );
}

interface Digest {
  readonly rows: string;
  /** Sum of a hash over all columns of each row, so that any order gives the same. */
  readonly hash: string;
  readonly checksum: string | null;
}

/** @param checksumSql What an audit compares, where it is wanted: it costs more than all else. */
async function digest(database: Database, select: string, checksumSql: string | null): Promise<Digest> {
  const [row] = await database.rows(`select count(*)::varchar as rows, coalesce(sum(hash(r)::hugeint), 0)::varchar as hash,
    (${checksumSql ?? "null"})::varchar as checksum from (${select}) r`);
  return { rows: String(row!["rows"]), hash: String(row!["hash"]), checksum: row!["checksum"] === null ? null : String(row!["checksum"]) };
}

/** The sum of the inputs' checksums; null where one does not tell. */
function knownChecksum(definition: TableDefinition, inputs: readonly AddFile[]): string | null {
  const known = inputs.map(({ tags }) => tags?.[CHECKSUM_TAG]).filter((sum) => sum !== undefined);
  if (definition !== FLOW || known.length < inputs.length) return null;
  return String(BigInt.asUintN(64, known.reduce((sum, text) => sum + BigInt(text), 0n)));
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
