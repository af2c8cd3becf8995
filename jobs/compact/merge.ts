/** Makes one sorted file of several, with the same rows. */

import type { Database, Row } from "../duckdb.ts";
import { type DataFile, writeDataFile } from "../lake/data_file.ts";
import { type AddFile, LakeError } from "../lake/delta_log.ts";
import { dataFilePath, selectFiles, type TableDefinition } from "../lake/table.ts";
import { FLOW } from "../lake/tables.ts";
import { CHECKSUM_SQL } from "../row_checksum.ts";
import { type Merge, SORTED_TAG, sortedTag } from "./plan.ts";

export const CHECKSUM_TAG = "skyfall.checksum";
export const OFFSETS_TAG = "skyfall.offsets";

/** Where files came from: by "TOPIC:PARTITION", the first offset and the one after the last. */
type Offsets = Readonly<Record<string, readonly [from: string, to: string]>>;

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
  const rows = selectFiles(directory, definition, inputs.map(({ path }) => path));
  const before = await digest(database, rows);
  const file: DataFile = {
    select: `${rows} order by ${definition.sortColumns.join(", ")}`,
    name: `${MERGED_PREFIX}-${crypto.randomUUID()}`,
    partition,
    tags: { [SORTED_TAG]: sortedTag(definition), ...await offsetsTag(database, definition, rows, inputs) },
  };
  const add = await writeDataFile(database, directory, definition, file);
  const written = selectFiles(directory, definition, [add.path]);
  const after = await digest(database, written);
  if (before.rows === after.rows && before.hash === after.hash) {
    return { ...add, tags: { ...add.tags, ...await checksumTag(database, definition, written, inputs) } };
  }
  await Deno.remove(dataFilePath(directory, add.path));
  throw new LakeError(
    `Cannot compact ${inputs.length} files of "${directory}": they have ${before.rows} rows, the file made of them ${after.rows}${
      before.rows === after.rows ? " others" : ""
    }; nothing was changed`,
  );
}

/** Rows and the sum of a hash over all their columns, so that any order gives the same. */
async function digest(database: Database, select: string): Promise<{ readonly rows: string; readonly hash: string }> {
  const [row] = await database.rows(
    `select count(*)::varchar as rows, coalesce(sum(hash(r)::hugeint), 0)::varchar as hash from (${select}) r`,
  );
  return { rows: String(row!["rows"]), hash: String(row!["hash"]) };
}

/** The checksum that an audit compares: of inputs that all have theirs, the sum; else it is computed from the rows. */
async function checksumTag(
  database: Database,
  definition: TableDefinition,
  select: string,
  inputs: readonly AddFile[],
): Promise<Record<string, string>> {
  if (definition !== FLOW) return {};
  const sums = inputs.map(({ tags }) => tags?.[CHECKSUM_TAG]);
  const known = sums.filter((sum) => sum !== undefined);
  if (known.length === sums.length) {
    return { [CHECKSUM_TAG]: String(BigInt.asUintN(64, known.reduce((sum, text) => sum + BigInt(text), 0n))) };
  }
  const [row] = await database.rows(`select (${CHECKSUM_SQL})::varchar as checksum from (${select})`);
  return { [CHECKSUM_TAG]: String(row!["checksum"]) };
}

/** The union of the inputs' ranges, or, where one does not tell, what the rows say. */
async function offsetsTag(
  database: Database,
  definition: TableDefinition,
  select: string,
  inputs: readonly AddFile[],
): Promise<Record<string, string>> {
  const known = inputs.map(({ tags }) => tags?.[OFFSETS_TAG]).filter((text) => text !== undefined);
  if (known.length === inputs.length) {
    return { [OFFSETS_TAG]: JSON.stringify(known.map((text): Offsets => JSON.parse(text)).reduce(unionOffsets)) };
  }
  if (!definition.columns.some(({ name }) => name === "src_offset")) return {};
  const rows = await database.rows(`select src_topic || ':' || src_partition as source, min(src_offset)::varchar as first,
    (max(src_offset) + 1)::varchar as next from (${select}) group by all order by all`);
  return { [OFFSETS_TAG]: JSON.stringify(Object.fromEntries(rows.map(offsetsOf))) };
}

function offsetsOf({ source, first, next }: Row): [string, [string, string]] {
  return [String(source), [String(first), String(next)]];
}

function unionOffsets(a: Offsets, b: Offsets): Offsets {
  const least = (x: string, y: string) => BigInt(x) < BigInt(y) ? x : y, greatest = (x: string, y: string) => BigInt(x) > BigInt(y) ? x : y;
  const union: Record<string, readonly [string, string]> = { ...a };
  for (const [source, [from, to]] of Object.entries(b)) {
    const other = union[source];
    union[source] = other === undefined ? [from, to] : [least(other[0], from), greatest(other[1], to)];
  }
  return union;
}
