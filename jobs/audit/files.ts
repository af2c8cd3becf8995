/** Whether the data files of a table are there, whole, and what the log says of them. */

import { type Database, QueryError } from "../duckdb.ts";
import type { AddFile, Snapshot } from "../lake/delta_log.ts";
import { hasItsBytes } from "../lake/file_digest.ts";
import { dataFilePath, sizeOf } from "../lake/table.ts";
import { sqlList } from "../sql_text.ts";
import type { Check, Problem } from "./finding.ts";

/** Files whose footers are read at once. */
const FOOTERS_AT_ONCE = 256;

/** The files that can be read, by their path on disk, and what is wrong with the others. */
export interface CheckedFiles {
  readonly check: Check;
  readonly readable: ReadonlyMap<string, AddFile>;
}

export async function checkFiles(
  database: Database,
  name: string,
  directory: string,
  snapshot: Snapshot,
  repair: string,
): Promise<CheckedFiles> {
  const problems: Problem[] = [];
  const present = new Map<string, AddFile>();
  for (const file of snapshot.files.values()) {
    const path = dataFilePath(directory, file.path);
    const size = await sizeOf(path);
    if (size === file.size) present.set(path, file);
    else {problems.push({
        where: path,
        what: size === null ? "is missing" : `has ${size} bytes, and ${file.size} when it was committed`,
        repair,
      });}
  }
  const rows = new Map<string, number>();
  const paths = [...present.keys()];
  for (let i = 0; i < paths.length; i += FOOTERS_AT_ONCE) {
    for (const [path, count] of await footerRows(database, paths.slice(i, i + FOOTERS_AT_ONCE))) rows.set(path, count);
  }
  const readable = new Map<string, AddFile>();
  for (const [path, file] of present) {
    const what = whatIsWrong(file, rows.get(path) ?? null) ??
      (await hasItsBytes(path, file) ? null : "has other bytes than when it was committed");
    if (what === null) readable.set(path, file);
    else problems.push({ where: path, what, repair });
  }
  const bytes = [...snapshot.files.values()].reduce((sum, { size }) => sum + size, 0);
  return {
    readable,
    check: { name: `files of ${name}`, examined: `${snapshot.files.size} files of ${bytes} bytes, each footer`, problems },
  };
}

function whatIsWrong({ stats, tags }: AddFile, rows: number | null): string | null {
  if (rows === null) return "has a footer that is no Parquet";
  const said = stats ? Number(JSON.parse(stats).numRecords) : rows;
  if (said !== rows) return `has ${rows} rows, and ${said} by its statistics`;
  const tagged = tags?.["skyfall.rows"];
  return tagged === undefined || Number(tagged) === rows ? null : `has ${rows} rows, and ${tagged} by its tag`;
}

/** Rows by path, without those whose footer cannot be read. */
async function footerRows(database: Database, paths: readonly string[]): Promise<Map<string, number>> {
  const read = async (some: readonly string[]) => {
    const found = await database.rows(`select file_name, num_rows from parquet_file_metadata(${sqlList(some)})`);
    return found.map((row) => [String(row["file_name"]), Number(row["num_rows"])] as const);
  };
  try {
    return new Map(await read(paths));
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
  }
  const rows = new Map<string, number>();
  for (const path of paths) {
    try {
      for (const [name, count] of await read([path])) rows.set(name, count);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
    }
  }
  return rows;
}

/** Source of rows of SQL: the files' rows with `filename`. */
export function readFilesSql(paths: readonly string[]): string {
  return `read_parquet(${sqlList(paths)}, filename = true, hive_partitioning = false, union_by_name = true)`;
}
