/** Makes one damaged file of a table again, and tells whether its rows are the ones that it had. */

import type { TopicConsumer } from "../../lib/topic/topic.ts";
import { SORTED_TAG } from "../compact/plan.ts";
import type { Database } from "../duckdb.ts";
import { writeDataFile } from "../lake/data_file.ts";
import type { AddFile } from "../lake/delta_log.ts";
import { DIGEST_TAG, fileDigest } from "../lake/file_digest.ts";
import { dataFilePath, type TableDefinition } from "../lake/table.ts";
import type { Origins } from "./origins.ts";

export interface RestoreTask {
  readonly lake: string;
  /** For what is written meanwhile. */
  readonly folder: string;
  readonly database: Database;
  /** Null where no topic was given. */
  readonly consumer: TopicConsumer | null;
  readonly definition: TableDefinition;
  /** Of the table. */
  readonly directory: string;
  readonly file: AddFile;
  /** All damaged files of the table. */
  readonly damaged: readonly AddFile[];
  /** Those that can be read, by their path on disk. */
  readonly readable: ReadonlyMap<string, AddFile>;
  readonly origins: Origins;
}

/** A file that takes the damaged one's place. */
export interface Restored {
  /** Null where it would have no rows. */
  readonly add: AddFile | null;
  /** Why it has not the rows that it must have; null where it has. */
  readonly why: string | null;
}

export type Restorer = (task: RestoreTask) => Promise<Restored>;

/** Writes the file of these rows. @throws {LakeError} If the disk fails or is full. */
export async function writeRestored({ database, definition, directory, file }: RestoreTask, select: string): Promise<Restored> {
  const { [SORTED_TAG]: sorted, [DIGEST_TAG]: digest, ...tags } = file.tags ?? {};
  const written = await writeDataFile(database, directory, definition, {
    select: sorted === undefined ? select : `${select} order by ${definition.sortColumns.join(", ")}`,
    name: `part-restored-${crypto.randomUUID()}`,
    partition: Object.fromEntries(definition.partitionColumns.map((name) => [name, file.partitionValues[name] ?? ""])),
    tags: { ...tags, ...(sorted === undefined ? {} : { [SORTED_TAG]: sorted }) },
  });
  const path = dataFilePath(directory, written.path), rows = rowsOf(written);
  if (rows === 0) {
    await Deno.remove(path);
    return { add: null, why: "none of which is left" };
  }
  const add = digest === undefined ? written : { ...written, tags: { ...written.tags, [DIGEST_TAG]: await fileDigest(path) } };
  if (rows !== rowsOf(file)) return { add, why: `${rows} of which are left` };
  const other = otherStatistics(file, add);
  return { add, why: other === null ? null : `in which ${other} would be another` };
}

export function rowsOf({ tags, stats }: AddFile): number {
  return Number(tags?.["skyfall.rows"] ?? (stats ? JSON.parse(stats).numRecords : 0));
}

interface Statistics {
  readonly minValues?: Readonly<Record<string, unknown>>;
  readonly maxValues?: Readonly<Record<string, unknown>>;
  readonly nullCount?: Readonly<Record<string, unknown>>;
}

/** The first statistic of numbers that both have and that differs; null where there is none. */
function otherStatistics(before: AddFile, after: AddFile): string | null {
  const [a, b]: Statistics[] = [before, after].map(({ stats }) => JSON.parse(stats ?? "{}"));
  for (const kind of ["minValues", "maxValues", "nullCount"] as const) {
    for (const [name, value] of Object.entries(a?.[kind] ?? {})) {
      const made = b?.[kind]?.[name];
      if (typeof value === "number" && typeof made === "number" && value !== made) return `${kind} of ${name}`;
    }
  }
  return null;
}

/** The time at which the job read the file's rows, where it is one: the same in all of a file that a job wrote. */
export function ingestTimeOf({ stats, modificationTime }: AddFile): string {
  const statistics: Statistics = JSON.parse(stats ?? "{}");
  return String(statistics.minValues?.["ingest_time"] ?? new Date(modificationTime).toISOString());
}
