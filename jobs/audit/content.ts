/** The rows of the lake by the message that they came from: counted, their indices summed up, and with their checksum. */

import { type Database, QueryError } from "../duckdb.ts";
import type { AddFile } from "../lake/delta_log.ts";
import { CHECKSUM_COLUMNS, CHECKSUM_SQL } from "../row_checksum.ts";
import { sqlText } from "../sql_text.ts";
import { readFilesSql } from "./files.ts";
import { type History, hourOf, rowsOf } from "./history.ts";
import { type Check, placeOf, type Problem } from "./finding.ts";

/** Rows that one statement reads, so that memory is bounded and progress shows. */
const ROWS_AT_ONCE = 4_000_000;
/** Problems of one kind that are named; the others are counted. */
const NAMED_MAX = 20;

/** Tells rows done of all. */
export type Progress = (done: number, all: number) => void;

/** Reads every value as well, for half the cost, and gives null. */
const READ_SQL = `case when bit_xor(hash(${CHECKSUM_COLUMNS.map(({ name }) => name).join(", ")})) is null then 0 end`;

/**
 * Makes the table `content`: one row per file and message.
 *
 * @param isCompared Whether anything is to be compared with the file's checksums; else they are null.
 * @returns Problems of files that cannot be read to the end.
 */
export async function readContent(
  database: Database,
  files: ReadonlyMap<string, AddFile>,
  isCompared: (file: AddFile) => boolean,
  repair: string,
  progress: Progress,
): Promise<Problem[]> {
  await database.run(`create or replace table content (file varchar, src_topic varchar, src_partition integer, src_offset bigint,
    rows bigint, index_min integer, index_max integer, index_sum hugeint, square_sum hugeint, checksum hugeint, first_us bigint, last_us bigint)`);
  const problems: Problem[] = [];
  const all = [...files.values()].reduce((sum, file) => sum + rowsOf(file), 0);
  let done = 0;
  for (const [compared, alike] of Map.groupBy(files, ([, file]) => isCompared(file))) {
    let some: string[] = [], someRows = 0;
    for (const [i, [path, file]] of alike.entries()) {
      some.push(path);
      someRows += rowsOf(file);
      if (someRows < ROWS_AT_ONCE && i < alike.length - 1) continue;
      problems.push(...await insert(database, some, compared ? CHECKSUM_SQL : READ_SQL, repair));
      progress(done += someRows, all);
      [some, someRows] = [[], 0];
    }
  }
  return problems;
}

async function insert(database: Database, paths: readonly string[], checksumSql: string, repair: string): Promise<Problem[]> {
  const insertFrom = (some: readonly string[]) =>
    database.run(`insert into content
      select filename, src_topic, src_partition, src_offset, count(*), min(src_index), max(src_index), sum(src_index),
        sum(src_index::bigint * src_index), ${checksumSql}, min(epoch_us(window_start)), max(epoch_us(window_start))
      from ${withColumns(some)} group by all`);
  try {
    await insertFrom(paths);
    return [];
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
  }
  const problems: Problem[] = [];
  for (const path of paths) {
    try {
      await insertFrom([path]);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      problems.push({ where: path, what: `cannot be read: ${error.message.split("\n")[0]}`, repair });
    }
  }
  return problems;
}

/** Rows of the files with all columns, also where every file is older. */
function withColumns(paths: readonly string[]): string {
  return `(select * from flow where false union all by name select * from ${readFilesSql(paths)})`;
}

/**
 * Whether each message's rows are there once: indices 0 to n - 1, whatever files they are in. Of messages that had rows in hours
 * that are no longer kept, the topic alone can tell.
 */
export async function checkMessages(
  database: Database,
  files: ReadonlyMap<string, AddFile>,
  { droppedHours, partlyDropped, ranges }: History,
  repair: string,
): Promise<Check> {
  await database.run("create or replace table dropped_file (file varchar)");
  const dropped = droppedHours.size === 0 ? [] : [...files].filter(([, { partitionValues }]) => droppedHours.has(hourOf(partitionValues)));
  await insertValues(database, "dropped_file", dropped.map(([path]) => `(${sqlText(path)})`));
  await database.run("create or replace table partly (topic varchar, partition integer, first bigint, after bigint)");
  const partly = ranges.filter(({ version }) => partlyDropped.has(version));
  await insertValues(database, "partly", partly.map((r) => `(${sqlText(r.topic)}, ${r.partition}, ${r.from}, ${r.to})`));
  await database.run(`create or replace table message as
    select src_topic, src_partition, src_offset, sum(rows)::bigint as rows, sum(checksum) % (1::hugeint << 64) as checksum,
      min(index_min) = 0 and max(index_max) = sum(rows) - 1 and sum(index_sum) = sum(rows) * (sum(rows) - 1) // 2
        and sum(square_sum) = sum(rows) * (sum(rows) - 1) * (2 * sum(rows) - 1) // 6 as whole
    from content anti join dropped_file using (file) group by all`);
  const broken = await database.rows(`select src_topic, src_partition, src_offset, rows, count(*) over () as found
    from message where not whole and not exists (select 1 from partly p
      where p.topic = src_topic and p.partition = src_partition and src_offset >= p.first and src_offset < p.after) order by all limit ${NAMED_MAX}`);
  const [counts] = await database.rows("select count(*) as messages, coalesce(sum(rows), 0) as rows from message");
  return {
    name: "rows are there once",
    examined: `${counts!["rows"]} rows of ${counts!["messages"]} messages${
      droppedHours.size === 0 ? "" : `; ${droppedHours.size} hours are no longer kept`
    }`,
    problems: named(broken, (row) => ({
      where: messagePlace(row),
      what: `has ${row["rows"]} rows whose indices are not 0 to ${Number(row["rows"]) - 1}, each once`,
      repair,
    })),
  };
}

/** Whether rows come from offsets that a commit took in alone, and each commit's ranges hold the rows that it says. */
export async function checkCommits(database: Database, { ranges, commits, firstVersion }: History, repair: string): Promise<Check> {
  await database.run(
    "create or replace table taken (topic varchar, partition integer, first bigint, after bigint, version bigint, gap boolean)",
  );
  await insertValues(
    database,
    "taken",
    ranges.map((r) => `(${sqlText(r.topic)}, ${r.partition}, ${r.from}, ${r.to}, ${r.version}, ${r.isGap})`),
  );
  await database.run("create or replace table said (version bigint, rows bigint)");
  await insertValues(database, "said", commits.filter(({ rows }) => rows !== null).map(({ version, rows }) => `(${version}, ${rows})`));
  const join = "m.src_topic = t.topic and m.src_partition = t.partition and m.src_offset >= t.first and m.src_offset < t.after";
  const strange = await database.rows(`select src_topic, src_partition, src_offset, rows, count(*) over () as found
    from message m anti join taken t on ${join}
    where ${firstVersion} = 0 and src_topic in (select topic from taken) order by all limit ${NAMED_MAX}`);
  const [others] = await database.rows(`select coalesce(sum(rows), 0) as rows from message m
    where src_topic is null or src_topic not in (select topic from taken)`);
  const different = await database.rows(`
    with held as (select t.version, sum(m.rows) as rows from taken t left join message m on ${join} group by all)
    select version, coalesce(h.rows, 0)::bigint as held, s.rows as said, count(*) over () as found
    from held h join said s using (version) where coalesce(h.rows, 0) <> s.rows order by version limit ${NAMED_MAX}`);
  return {
    name: "rows of each commit",
    examined: `${commits.length} commits, ${commits.filter(({ rows }) => rows !== null).length} of which tell their rows${
      Number(others!["rows"]) === 0 ? "" : `; ${others!["rows"]} rows that other programs added`
    }`,
    problems: [
      ...named(strange, (row) => ({ where: messagePlace(row), what: `has ${row["rows"]} rows, but no commit took it in`, repair })),
      ...named(
        different,
        (row) => ({ where: `version ${row["version"]}`, what: `took in ${row["said"]} rows, of which ${row["held"]} are there`, repair }),
      ),
    ],
  };
}

/** Whether each file has the rows, hour, offsets and checksum that its path and tags say. */
export async function checkTags(database: Database, files: ReadonlyMap<string, AddFile>, repair: string): Promise<Check> {
  const rows = await database.rows(`select file, sum(rows) as rows, (sum(checksum) % (1::hugeint << 64))::varchar as checksum,
    min(first_us)::varchar as first_us, max(last_us)::varchar as last_us from content group by file`);
  const problems: Problem[] = [];
  let tagged = 0;
  for (const row of rows) {
    const file = files.get(String(row["file"]))!;
    const where = String(row["file"]);
    const checksum = file.tags?.["skyfall.checksum"];
    if (checksum !== undefined) tagged++;
    if (checksum !== undefined && checksum !== row["checksum"]) {
      problems.push({ where, what: `has rows of checksum ${row["checksum"]}, and ${checksum} by its tag`, repair });
    }
    const { date, hour } = file.partitionValues;
    for (const us of [Number(row["first_us"]), Number(row["last_us"])]) {
      const time = new Date(Math.floor(us / 1_000));
      if (time.toISOString().slice(0, 10) === date && (hour === undefined || time.getUTCHours() === Number(hour))) continue;
      problems.push({ where, what: `has a row of ${time.toISOString()}, which is not in its folder's hour`, repair });
      break;
    }
  }
  return { name: "files hold what the log says", examined: `${rows.length} files, ${tagged} with a checksum`, problems };
}

/** Rows of one statement. */
const INSERT_ROWS = 1_000;

async function insertValues(database: Database, table: string, values: readonly string[]): Promise<void> {
  for (let i = 0; i < values.length; i += INSERT_ROWS) {
    await database.run(`insert into ${table} values ${values.slice(i, i + INSERT_ROWS).join(", ")}`);
  }
}

/** A message as rows of SQL have it. */
export function messagePlace(row: Readonly<Record<string, unknown>>): string {
  const offset = BigInt(String(row["src_offset"]));
  return placeOf(String(row["src_topic"]), Number(row["src_partition"]), offset, offset + 1n);
}

/** Problems of the first rows, and the count of the others; each row carries how many there are as `found`. */
export function named(
  rows: readonly Readonly<Record<string, unknown>>[],
  problem: (row: Readonly<Record<string, unknown>>) => Problem,
): Problem[] {
  const problems = rows.map(problem);
  const rest = Number(rows[0]?.["found"] ?? 0) - rows.length;
  if (rest > 0) problems.push({ ...problems.at(-1)!, where: `and ${rest} more`, what: "the same" });
  return problems;
}
