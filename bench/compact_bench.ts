/**
 * What compaction costs and what it brings: rows a CPU second, memory, files, and the time of questions before and after; and what
 * a roll-up of a day of edges costs. `--rows N` sets how many rows the day has.
 */

import { runTask } from "../tests/command.ts";
import { Database } from "../jobs/duckdb.ts";
import { writeDataFile } from "../jobs/lake/data_file.ts";
import { append } from "../jobs/lake/append.ts";
import type { AddFile } from "../jobs/lake/delta_log.ts";
import { prepareLake } from "../jobs/lake/prepare.ts";
import { replace } from "../jobs/lake/replace.ts";
import { readTable, selectFiles, tableDirectory } from "../jobs/lake/table.ts";
import { EDGE_1D, EDGE_1H, EDGE_1M, FLOW } from "../jobs/lake/tables.ts";
import { withLake } from "../jobs/query.ts";
import { EDGE_COLUMNS, HISTOGRAM_BUCKETS } from "../lib/edge_columns.ts";
import { rowsOf, serviceName, START_US } from "./flow_generator.ts";
import { writeFlowLake } from "./flow_lake.ts";
import { type CommandCost, costOfJobs } from "./command_cost.ts";
import { formatTable } from "./table.ts";

const rowsOption = Deno.args.indexOf("--rows");
const ROWS = rowsOption < 0 ? 1_000_000 : Number(Deno.args[rowsOption + 1]);
const HOURS = 24, MINUTES = 60 * HOURS;
/** Files that an hour's rows come in, as the ETL job lands them. */
const FILES_AN_HOUR = 12;
const EDGES = 1_000;
const ROUNDS = 7;

const SERVICE = serviceName(7);

const QUESTIONS: readonly (readonly [name: string, sql: string])[] = [
  [
    "one service, 24 h: its clients",
    `select client_service_name, client_address, sum(bytes_sent), sum(bytes_received), sum(retransmits) from flow
      where server_service_name = '${SERVICE}' group by all`,
  ],
  [
    "one service, one hour",
    `select sum(bytes_sent), sum(srtt_us_sum) / sum(srtt_samples) from flow where server_service_name = '${SERVICE}'
      and window_start >= timestamptz '2026-01-02 12:00:00+00' and window_start < timestamptz '2026-01-02 13:00:00+00'`,
  ],
  ["all services, 24 h", "select server_service_name, sum(bytes_sent), sum(bytes_received) from flow group by all"],
];

async function openDatabase(): Promise<Database> {
  return await Database.open({ memoryLimit: "4GB", temporaryDirectory: directory });
}

/** Splits each hour's file into those that would have come one after the other. */
async function land(lake: string): Promise<void> {
  const table = tableDirectory(lake, FLOW);
  using database = await openDatabase();
  const snapshot = await readTable(table, FLOW, database);
  const removes = [...snapshot.files.values()], adds: AddFile[] = [];
  for (const { path, partitionValues } of removes) {
    const rows = selectFiles(table, FLOW, [path]), { date, hour } = partitionValues;
    for (let part = 0; part < FILES_AN_HOUR; part++) {
      adds.push(
        await writeDataFile(database, table, FLOW, {
          select: `from (${rows}) where extract(minute from window_start) // ${
            60 / FILES_AN_HOUR
          } = ${part} order by src_offset, src_index`,
          name: `part-${part}`,
          partition: { date: date!, hour: hour! },
          tags: {},
        }),
      );
    }
  }
  const change = { operation: "STREAMING UPDATE", parameters: {}, removes, adds, dataChange: true, transactions: new Map() };
  if (await replace(table, FLOW, snapshot, change, database) === null) throw new Error("Cannot land: another writer is at work");
}

/** Median milliseconds of each question, views opened before. */
async function questionMs(lake: string): Promise<number[]> {
  return await withLake(lake, async (database) => {
    const medians: number[] = [];
    for (const [, sql] of QUESTIONS) {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const startMs = performance.now();
        await database.rows(sql);
        times.push(performance.now() - startMs);
      }
      medians.push(times.sort((a, b) => a - b)[ROUNDS >> 1]!);
    }
    return medians;
  });
}

async function files(lake: string): Promise<{ readonly count: number; readonly bytes: number }> {
  using database = await openDatabase();
  const { files } = await readTable(tableDirectory(lake, FLOW), FLOW, database);
  return { count: files.size, bytes: [...files.values()].reduce((sum, { size }) => sum + size, 0) };
}

/** A day of minutes of edges, a file an hour: the same ones in every minute, or others. */
async function writeEdges(lake: string, areSame: boolean): Promise<void> {
  await prepareLake(lake);
  const table = tableDirectory(lake, EDGE_1M), adds: AddFile[] = [];
  using database = await openDatabase();
  for (let hour = 0; hour < HOURS; hour++) {
    const values = EDGE_COLUMNS.map(({ name, type }) => {
      if (name === "window_start") return `make_timestamptz(${START_US} + minute * 60000000) as ${name}`;
      if (type === "VARCHAR") return `'${name} ' || edge as ${name}`;
      if (type === "BIGINT[]") return `[(edge + i) % 7 for i in range(${HISTOGRAM_BUCKETS})]::bigint[] as ${name}`;
      return `${name === "server_port" ? "edge" : "(edge * 31 + minute)"}::${type} as ${name}`;
    });
    adds.push(
      await writeDataFile(database, table, EDGE_1M, {
        select: `select ${values.join(", ")} from (select number + ${
          areSame ? 0 : `minute * ${EDGES}`
        } as edge, minute from range(${EDGES}) numbers(number), range(${60 * hour}, ${60 * hour + 60}) minutes(minute)) rows`,
        name: "part",
        partition: { date: "2026-01-02", hour: String(hour) },
        tags: {},
      }),
    );
  }
  const snapshot = await readTable(table, EDGE_1M, database);
  await append(table, EDGE_1M, snapshot, { operation: "STREAMING UPDATE", parameters: {}, adds, transactions: new Map() }, database);
}

const directory = await Deno.makeTempDir(), lake = `${directory}/lake`, shape = { rows: ROWS, minutes: MINUTES, seed: 1 };
await writeFlowLake(shape, lake);
await land(lake);
const before = await files(lake), beforeMs = await questionMs(lake);
const cost = await costOfJobs("run", "compact", "--lake", lake);
const after = await files(lake), afterMs = await questionMs(lake);
const { stderr } = await runTask("jobs", ["vacuum", "--lake", lake, "--retain-hours", "0"]);
const vacuumed = /"files":(\d+)/.exec(stderr)?.[1];
const rows = rowsOf(shape);
console.log(`${rows} rows of 24 hours, ${FILES_AN_HOUR} files an hour; medians of ${ROUNDS}, views open\n`);
console.log(formatTable(["", "before", "after"], [
  ["files", before.count, after.count],
  ["bytes a row", (before.bytes / rows).toFixed(1), (after.bytes / rows).toFixed(1)],
  ...QUESTIONS.map(([name], i) => [`${name}, ms`, beforeMs[i]!.toFixed(1), afterMs[i]!.toFixed(1)]),
]));
const JOB_HEAD = ["job, whole process", "CPU s", "s", "k rows/CPU s", "peak MB"];
const jobRow = (
  name: string,
  jobRows: number,
  { cpuSeconds, seconds, peakBytes }: CommandCost,
) => [name, cpuSeconds.toFixed(1), seconds.toFixed(1), (jobRows / cpuSeconds / 1e3).toFixed(0), (peakBytes / 2 ** 20).toFixed(0)];
console.log(formatTable(JOB_HEAD, [jobRow("compact", rows, cost)]));
console.log(`vacuum then deletes ${vacuumed} files\n`);

for (const areSame of [true, false]) {
  const edgeLake = `${directory}/edges_${areSame}`;
  await writeEdges(edgeLake, areSame);
  const rolled = await costOfJobs("run", "compact", "--lake", edgeLake);
  const [counts] = await withLake(
    edgeLake,
    (database) =>
      database.rows(
        `select (select count(*) from ${EDGE_1H.name})::integer as hours, (select count(*) from ${EDGE_1D.name})::integer as days`,
      ),
  );
  console.log(`${EDGES * MINUTES} minutes of edges become ${counts!["hours"]} hours and ${counts!["days"]} days\n`);
  console.log(formatTable(JOB_HEAD, [jobRow("roll up to hours and days, and compact all", EDGES * MINUTES, rolled)]));
}
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
