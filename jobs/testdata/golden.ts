/** Golden cases: what is asked, and databases with the flows of their CSV files. */

import { FLOW_COLUMNS } from "../../lib/records.ts";
import { Database } from "../duckdb.ts";
import { append } from "../lake/append.ts";
import { writeDataFile } from "../lake/data_file.ts";
import { prepareLake } from "../lake/prepare.ts";
import { readTable, tableDirectory } from "../lake/table.ts";
import { FLOW } from "../lake/tables.ts";
import { EVERYTHING, type Question } from "../question.ts";
import { sqlText } from "../sql_text.ts";

export const TESTDATA = new URL("../analytics/testdata/", import.meta.url).pathname;

/** What is asked, where it is not everything, by the name of the analysis. */
const QUESTIONS: Readonly<Record<string, Partial<Question>>> = {
  "upstream": { service: "store", depth: 2 },
  "downstream": { service: "web", depth: 2 },
  "zone-crossings": { fromMs: at(3), zones: `${TESTDATA}zones.yaml`, policy: `${TESTDATA}policy.csv` },
  "unmanaged": { zones: `${TESTDATA}zones.yaml`, names: `${TESTDATA}owners.csv` },
  "capacity": { topology: `${TESTDATA}topology.yaml` },
  "link-failure": { topology: `${TESTDATA}topology.yaml`, names: `${TESTDATA}tiers.yaml` },
  "bottlenecks": { fromMs: at(10), zones: `${TESTDATA}zones.yaml` },
  "graph-diff": { fromMs: at(3), toMs: at(4), spanMs: 3_600_000 },
};

/** Milliseconds of an hour of the day of the golden cases. */
export function at(hour: number): number {
  return Date.UTC(2026, 0, 2, hour);
}

export function goldenQuestion(analysis: string): Question {
  return { ...EVERYTHING, ...QUESTIONS[analysis] };
}

/** Path of an analysis's golden case, without "_input.csv" and ".csv". */
export function goldenBase(analysis: string): string {
  return `${TESTDATA}${analysis.replaceAll("-", "_")}`;
}

/** Of rows without a time of their own. */
const WINDOW_START = "2026-01-02 03:04:00+00";

/** An IPv4 address as 16 bytes, in SQL. */
const MAPPED = (address: string) =>
  `unhex('00000000000000000000ffff' || array_to_string(list_transform(string_split(${address}, '.'), lambda part: format('{:02x}', part::int)), ''))`;

/** A database with the view `flow`: columns that the file lacks are 0 where they are amounts, else null. */
export async function goldenDatabase(csv: string): Promise<Database> {
  const database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
  await database.run(`create table given as select * from read_csv(${sqlText(csv)}, all_varchar = true)`);
  const given = new Set((await database.rows("describe given")).map((row) => String(row["column_name"])));
  const columns = FLOW_COLUMNS.map(({ name, type }) => {
    if (name === "client_ip" || name === "server_ip") return `${MAPPED(name.replace("ip", "address"))} as ${name}`;
    if (name === "window_start" && !given.has(name)) return `timestamptz '${WINDOW_START}' as ${name}`;
    const absent = type === "BIGINT" ? "0" : "null";
    return `${given.has(name) ? `coalesce(${name}::${type}, ${absent})` : absent}::${type} as ${name}`;
  });
  await database.run(`create view flow as select ${columns.join(", ")} from given`);
  return database;
}

/** A lake whose table `flow` holds the rows of a CSV file, as `goldenDatabase()` reads it. */
export async function goldenLake(csv: string): Promise<string> {
  using database = await goldenDatabase(csv);
  const lake = await Deno.makeTempDir(), directory = tableDirectory(lake, FLOW);
  await prepareLake(lake);
  const hours = await database.rows(
    "select distinct strftime(window_start, '%Y-%m-%d') as date, extract(hour from window_start)::integer as hour from flow",
  );
  const adds = await Promise.all(hours.map(({ date, hour }) =>
    writeDataFile(database, directory, FLOW, {
      select: `select * from flow where strftime(window_start, '%Y-%m-%d') = '${date}' and extract(hour from window_start) = ${hour}`,
      name: "golden",
      partition: { date: String(date), hour: String(hour) },
      tags: {},
    })
  ));
  const snapshot = await readTable(directory, FLOW, database);
  await append(directory, FLOW, snapshot, { operation: "WRITE", parameters: {}, adds, transactions: new Map() }, database);
  return lake;
}
