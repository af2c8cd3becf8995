/**
 * The ETL job beside PyArrow with delta-rs: rows a CPU second from the same topic into committed zstd Parquet, memory, and bytes a row
 * by column; 1 and 10 million rows, or as many as `--rows` tells, of which more than 10 million are landed in slices, without the
 * peer, as their topic would not fit on many a disk. With `--spark` instead from a Kafka broker, beside Spark Structured Streaming.
 */

import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";

import { Database } from "../jobs/duckdb.ts";
import { withLake } from "../jobs/query.ts";
import { openProducer } from "../lib/topic/open.ts";
import type { TopicRecord } from "../lib/topic/topic.ts";
import { python } from "../tools/cache.ts";
import { Broker } from "../tools/kafka.ts";
import { type CommandCost, costOf, costOfJobs } from "./command_cost.ts";
import { expectedTotals, type FlowShape, rowsOf } from "./flow_generator.ts";
import { flowMessages } from "./flow_messages.ts";
import { outputOf } from "./processes.ts";
import { costOfSpark } from "./spark_cost.ts";
import { formatTable } from "./table.ts";

/** Rows, and how often they are landed. */
const SIZES = [{ rows: 1_000_000, rounds: 3 }, { rows: 10_000_000, rounds: 1 }];
/** Rows of a minute, up to a day of them. */
const MINUTE_ROWS = 16_667, MINUTES_MAX = 1_440;
const PARTITIONS = 2;
/** Of messages that the topic has at a time: a little more than 10 million rows. */
const SLICE_BYTES = 6_600_000_000;
const PUBLISHED_TOGETHER = 16;
/** What measures a flow: when, between whom, how much, how well. */
const CORE_COLUMNS = [
  "window_start",
  "window_end",
  "observer_role",
  "network_transport",
  "client_ip",
  "server_ip",
  "server_port",
  "client_service_name",
  "server_service_name",
  "bytes_sent",
  "bytes_received",
  "segments_sent",
  "segments_received",
  "retransmits",
  "connections_opened",
  "connections_closed",
  "srtt_us_sum",
  "srtt_samples",
];
const SHOWN_COLUMNS = 12;

interface Run extends Pick<CommandCost, "cpuSeconds" | "seconds" | "peakBytes"> {
  readonly bytes: number;
}

const { values: options } = parseArgs({ args: Deno.args, options: { rows: { type: "string" }, spark: { type: "boolean" } } });
const directory = await Deno.makeTempDir(), peerPython = await python();

function shapeOf(rows: number): FlowShape {
  return { rows, minutes: Math.min(MINUTES_MAX, Math.round(rows / MINUTE_ROWS)), seed: 1 };
}

/** Publishes messages, up to about so many bytes; false where there are no more. */
async function fillTopic(url: string, messages: Iterator<TopicRecord>, bytesMax: number): Promise<boolean> {
  await using producer = await openProducer(url);
  let together: TopicRecord[] = [], bytes = 0;
  for (;;) {
    const { done, value } = messages.next();
    if (!done) bytes += together[together.push(value) - 1]!.value.length;
    if (done || bytes > bytesMax || together.length === PUBLISHED_TOGETHER) {
      await producer.publish(together);
      together = [];
    }
    if (done || bytes > bytesMax) return !done;
  }
}

/** With the bytes of the table that it made. */
async function withBytes(cost: CommandCost, table: string): Promise<Run> {
  const [bytes] = (await outputOf("du", "--bytes", "--summarize", table)).split("\t");
  return { ...cost, bytes: Number(bytes) };
}

async function runOwn(topic: string, lake: string): Promise<Run> {
  return await withBytes(await costOfJobs("run", "etl", "--topic", topic, "--lake", lake), `${lake}/flow`);
}

async function assertTotals(lake: string, shape: FlowShape): Promise<void> {
  const expected = expectedTotals(shape);
  const [found] = await withLake(
    lake,
    (database) =>
      database.rows(
        "select count(*) as rows, sum(bytes_sent)::bigint as sent, sum(bytes_received)::bigint as received, sum(connections_opened)::bigint as opened from flow",
      ),
  );
  const isRight = Number(found!["rows"]) === expected.rows && Number(found!["sent"]) === expected.bytesSent &&
    Number(found!["received"]) === expected.bytesReceived && Number(found!["opened"]) === expected.connectionsOpened;
  if (!isRight) throw new Error(`Cannot trust the ETL job: ${JSON.stringify(found)}, needed ${JSON.stringify(expected)}`);
}

async function runPeer(topic: string, table: string, rows: number): Promise<Run> {
  const script = new URL("etl_peer.py", import.meta.url).pathname, cost = await costOf(peerPython, [script, topic, table]);
  if (Number(cost.stdout) !== rows) throw new Error(`Cannot trust the peer: ${cost.stdout} of ${rows} rows`);
  return await withBytes(cost, table);
}

function line(name: string, runs: readonly Run[], rows: number): (string | number)[] {
  const sorted = runs.map(({ cpuSeconds }) => cpuSeconds).sort((a, b) => a - b), median = sorted[sorted.length >> 1]!;
  const peakBytes = Math.max(...runs.map(({ peakBytes }) => peakBytes));
  return [
    name,
    sorted.map((seconds) => seconds.toFixed(2)).join(" / "),
    Math.min(...runs.map(({ seconds }) => seconds)).toFixed(1),
    (rows / median / 1e3).toFixed(0),
    Number.isNaN(peakBytes) ? "-" : (peakBytes / 1e6).toFixed(0),
    (runs[0]!.bytes / rows).toFixed(1),
  ];
}

const HEAD = ["program", "CPU s of each round", "least s", "k rows a CPU s", "peak MB", "bytes a row in the table"];
const OWN = "skyfall: jobs run etl, exactly once";

/** Bytes a row of each column, from the files' footers. */
async function printColumns(lake: string, rows: number): Promise<void> {
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: directory });
  const columns = await database.rows(`select split_part(path_in_schema, ',', 1) as name, sum(total_compressed_size)::bigint as bytes
    from parquet_metadata('${lake}/flow/**/*.parquet') group by 1 order by 2 desc`);
  const perRow = new Map(columns.map(({ name, bytes }) => [String(name), Number(bytes) / rows]));
  const sum = (names: Iterable<string>) => [...names].reduce((total, name) => total + perRow.get(name)!, 0);
  console.log(
    `\nBytes a row: ${sum(perRow.keys()).toFixed(1)} in ${perRow.size} columns; ${
      sum(CORE_COLUMNS).toFixed(1)
    } in the ${CORE_COLUMNS.length} that measure the flow (${CORE_COLUMNS.join(", ")}). The greatest:\n`,
  );
  console.log(formatTable(["column", "bytes a row"], [...perRow].slice(0, SHOWN_COLUMNS).map(([name, bytes]) => [name, bytes.toFixed(2)])));
}

async function compareEmbedded(shape: FlowShape, rounds: number): Promise<void> {
  const rows = rowsOf(shape), topic = `${directory}/topic.db`, own: Run[] = [], peer: Run[] = [];
  await fillTopic(`sqlite:${topic}`, flowMessages(shape), Infinity);
  const lake = `${directory}/lake`, table = `${directory}/peer`;
  for (let round = 0; round < rounds; round++) {
    for (const folder of round === 0 ? [] : [lake, table]) await Deno.remove(folder, { recursive: true });
    own.push(await runOwn(`sqlite:${topic}`, lake));
    await assertTotals(lake, shape);
    peer.push(await runPeer(topic, table, rows));
  }
  console.log(formatTable(HEAD, [line(OWN, own, rows), line("PyArrow and delta-rs, no offsets", peer, rows)]));
  await printColumns(lake, rows);
  for (const path of [lake, table, topic]) await Deno.remove(path, { recursive: true });
}

/** One run of the job for each slice; what has landed is deleted from the topic. */
async function landSlices(shape: FlowShape): Promise<void> {
  const rows = rowsOf(shape), topic = `${directory}/topic.db`, lake = `${directory}/lake`, runs: Run[] = [];
  const messages = flowMessages(shape);
  for (let hasMore = true; hasMore;) {
    hasMore = await fillTopic(`sqlite:${topic}`, messages, SLICE_BYTES);
    runs.push(await runOwn(`sqlite:${topic}`, lake));
    using database = new DatabaseSync(topic);
    database.exec("delete from message where offset < (select max(offset) from message)"); // the last tells where offsets go on
  }
  await assertTotals(lake, shape);
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0);
  const all = {
    cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    seconds: sum(({ seconds }) => seconds),
    peakBytes: Math.max(...runs.map(({ peakBytes }) => peakBytes)),
    bytes: runs.at(-1)!.bytes,
  };
  console.log(formatTable(HEAD, [line(`${OWN}, ${runs.length} runs`, [all], rows)]));
  await printColumns(lake, rows);
}

async function compareKafka(): Promise<void> {
  await using broker = await Broker.start();
  const shape = shapeOf(SIZES[0]!.rows), rows = rowsOf(shape);
  const topic = "flows", lake = `${directory}/kafka_lake`, folder = `${directory}/spark`;
  const url = broker.url(topic, `?partitions=${PARTITIONS}`);
  await fillTopic(url, flowMessages(shape, PARTITIONS), Infinity);
  const own = [await runOwn(broker.url(topic), lake)];
  await assertTotals(lake, shape);
  const spark = [await withBytes(await costOfSpark({ script: "etl_spark.py", broker, topic, folder, rows, more: [] }), `${folder}/table`)];
  console.log(`\nFrom a Kafka broker, ${PARTITIONS} partitions; Spark without its start, ours with it:\n`);
  console.log(
    formatTable(HEAD, [line("skyfall: jobs run etl", own, rows), line("Spark Structured Streaming to Delta, local[2]", spark, rows)]),
  );
  console.log(`\nOurs is ${(spark[0]!.cpuSeconds / own[0]!.cpuSeconds).toFixed(1)} times as fast a core.`);
}

const sizes = options.rows === undefined ? SIZES : [{ rows: Number(options.rows), rounds: 1 }];
if (options.spark) await compareKafka();
for (const { rows, rounds } of options.spark ? [] : sizes) {
  const shape = shapeOf(rows);
  console.log(`\n${rowsOf(shape)} rows over ${shape.minutes} minutes of 20,000 hosts, whole process\n`);
  await (rows > SIZES.at(-1)!.rows ? landSlices(shape) : compareEmbedded(shape, rounds));
}
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
