/**
 * What `jobs audit` costs as a lake grows: seconds, rows a second, and memory, which must not grow with the rows. `--rows N` sets how many
 * the largest has; `--lake FOLDER` takes those of a lake that is there, with files of one hour each. Then the same with the topic read again.
 */

import { commitVersion, readVersion } from "../jobs/lake/delta_log.ts";
import { prepareLake } from "../jobs/lake/prepare.ts";
import { dataFilePath, readTable, tableDirectory } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { Database } from "../jobs/duckdb.ts";
import { rowsOf as rowsOfFile } from "../jobs/audit/history.ts";
import { openProducer } from "../lib/topic/open.ts";
import { type FlowShape, rowsOf } from "./flow_generator.ts";
import { writeFlowLake } from "./flow_lake.ts";
import { flowMessages } from "./flow_messages.ts";
import { costOfJobs } from "./command_cost.ts";
import { formatTable } from "./table.ts";

function option(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}

const ROWS = Number(option("--rows") ?? 5_000_000), GIVEN_LAKE = option("--lake");
const MINUTES = 1_440;
/** Parts of the largest lake that are audited, in its files. */
const PARTS = [1 / 24, 5 / 24, 1];
/** Rows of the topics that are read again. */
const TOPIC_ROWS = [500_000, 2_000_000];
const HEAD = ["rows", "CPU s", "s", "us of CPU a row", "peak MB"];

const directory = await Deno.makeTempDir();

/** A lake of the first files of another, which it shares. */
async function partOf(lake: string, part: number): Promise<{ readonly lake: string; readonly rows: number }> {
  const from = tableDirectory(lake, FLOW), made = `${directory}/part-${part}`, to = tableDirectory(made, FLOW);
  await prepareLake(made);
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: directory });
  const snapshot = await readTable(from, FLOW, database);
  const files = [...snapshot.files.values()], some = files.slice(0, Math.ceil(part * files.length));
  for (const { path } of some) {
    const target = dataFilePath(to, path);
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.symlink(await Deno.realPath(dataFilePath(from, path)), target);
  }
  const head = (await readVersion(from, 0n)).filter(({ protocol, metaData }) => protocol || metaData);
  const commitInfo = { timestamp: Date.now(), operation: "STREAMING UPDATE", engineInfo: "Skyfall" };
  await commitVersion(to, 0n, [{ commitInfo }, ...head, ...some.map((add) => ({ add }))]);
  return { lake: made, rows: some.reduce((sum, file) => sum + rowsOfFile(file), 0) };
}

async function auditRow(rows: number, ...args: string[]): Promise<(string | number)[]> {
  const { cpuSeconds, seconds, peakBytes } = await costOfJobs("audit", ...args);
  return [rows, cpuSeconds.toFixed(1), seconds.toFixed(1), (cpuSeconds * 1e6 / rows).toFixed(2), (peakBytes / 2 ** 20).toFixed(0)];
}

async function lakeRows(): Promise<(string | number)[][]> {
  const lake = GIVEN_LAKE ?? `${directory}/lake`;
  if (GIVEN_LAKE === undefined) await writeFlowLake({ rows: ROWS, minutes: MINUTES, seed: 1 }, lake);
  const rows: (string | number)[][] = [];
  for (const part of PARTS) {
    const made = await partOf(lake, part);
    rows.push(await auditRow(made.rows, "--lake", made.lake));
  }
  return rows;
}

async function topicRows(): Promise<(string | number)[][]> {
  const rows: (string | number)[][] = [];
  for (const some of TOPIC_ROWS) {
    const shape: FlowShape = { rows: some, minutes: 60, seed: 1 }, topic = `sqlite:${directory}/${some}.db`, lake = `${directory}/${some}`;
    {
      await using producer = await openProducer(topic);
      for (const record of flowMessages(shape)) await producer.publish([record]);
    }
    await costOfJobs("run", "etl", "--topic", topic, "--lake", lake);
    rows.push(await auditRow(rowsOf(shape), "--topic", topic, "--lake", lake));
  }
  return rows;
}

try {
  console.log("a day in files of an hour, without its topic\n");
  console.log(formatTable(HEAD, await lakeRows()));
  console.log("\nwith its topic read again, each row compared by its checksum\n");
  console.log(formatTable(HEAD, await topicRows()));
} finally {
  await Deno.remove(directory, { recursive: true });
}
