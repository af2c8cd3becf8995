/**
 * The ETL job beside PyArrow with delta-rs: rows a CPU second from the same topic into committed zstd Parquet, and bytes a row by
 * column. With `--spark` instead from a Kafka broker, beside Spark Structured Streaming.
 */

import { Database } from "../jobs/duckdb.ts";
import { SPARK_TYPES } from "../jobs/engines/spark.ts";
import { withLake } from "../jobs/query.ts";
import { MESSAGE_COLUMNS } from "../lib/records.ts";
import { openProducer } from "../lib/topic/open.ts";
import { taskArguments } from "../chain/program.ts";
import { python, sparkKafkaJars } from "../tools/cache.ts";
import { Broker } from "../tools/kafka.ts";
import { type CommandCost, costOf } from "./command_cost.ts";
import { expectedTotals, type FlowShape, rowsOf } from "./flow_generator.ts";
import { flowMessages } from "./flow_messages.ts";
import { outputOf } from "./processes.ts";
import { formatTable } from "./table.ts";

const SHAPE: FlowShape = { rows: 1_000_000, minutes: 60, seed: 1 };
const ROUNDS = 3, PARTITIONS = 2;
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

interface Run {
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly bytes: number;
}

const rows = rowsOf(SHAPE), directory = await Deno.makeTempDir(), peerPython = await python();

async function fillTopic(url: string): Promise<void> {
  await using producer = await openProducer(url);
  for (const record of flowMessages(SHAPE, producer.partitionCount)) await producer.publish([record]);
}

async function timed(run: () => Promise<number>, table: string): Promise<Run> {
  const startMs = performance.now(), cpuSeconds = await run();
  const seconds = (performance.now() - startMs) / 1_000;
  const [bytes] = (await outputOf("du", "--bytes", "--summarize", table)).split("\t");
  return { cpuSeconds, seconds, bytes: Number(bytes) };
}

async function runOwn(topic: string, lake: string): Promise<number> {
  const task = await taskArguments("jobs");
  const { cpuSeconds } = await costOf(Deno.execPath(), [...task, "run", "etl", "--topic", topic, "--lake", lake]);
  const expected = expectedTotals(SHAPE);
  const [found] = await withLake(
    lake,
    (database) =>
      database.rows("select count(*) as rows, sum(bytes_sent)::bigint as sent, sum(bytes_received)::bigint as received from flow"),
  );
  const isRight = Number(found!["rows"]) === expected.rows && Number(found!["sent"]) === expected.bytesSent &&
    Number(found!["received"]) === expected.bytesReceived;
  if (!isRight) throw new Error(`Cannot trust the ETL job: ${JSON.stringify(found)}, needed ${JSON.stringify(expected)}`);
  return cpuSeconds;
}

async function runPeer(topic: string, table: string): Promise<number> {
  const script = new URL("etl_peer.py", import.meta.url).pathname;
  const { cpuSeconds, stdout }: CommandCost = await costOf(peerPython, [script, topic, table]);
  if (Number(stdout) !== rows) throw new Error(`Cannot trust the peer: ${stdout} of ${rows} rows`);
  return cpuSeconds;
}

/** CPU seconds of Spark's query alone. */
async function runSpark(broker: Broker, topic: string, folder: string): Promise<number> {
  const script = new URL("etl_spark.py", import.meta.url).pathname, jars = (await sparkKafkaJars()).join(",");
  const columns = MESSAGE_COLUMNS.map(({ name, type }) => `${name} ${SPARK_TYPES[type]}`).join(", ");
  const { stdout } = await costOf(peerPython, [script, broker.address, topic, folder, jars, columns], {
    SPARK_LOCAL_IP: "127.0.0.1",
    PYSPARK_PYTHON: peerPython,
  });
  const told = JSON.parse(stdout);
  if (told.rows !== rows) throw new Error(`Cannot trust Spark: ${told.rows} of ${rows} rows`);
  return Number(told.cpu_seconds);
}

function line(name: string, runs: readonly Run[]): (string | number)[] {
  const sorted = runs.map(({ cpuSeconds }) => cpuSeconds).sort((a, b) => a - b), median = sorted[sorted.length >> 1]!;
  const spread = sorted.map((seconds) => seconds.toFixed(2)).join(" / ");
  return [
    name,
    spread,
    Math.min(...runs.map(({ seconds }) => seconds)).toFixed(1),
    (rows / median / 1e3).toFixed(0),
    (runs[0]!.bytes / rows).toFixed(1),
  ];
}

const HEAD = ["program", "CPU s of each round", "least s", "k rows a CPU s", "bytes a row in the table"];

/** Bytes a row of each column, from the files' footers. */
async function printColumns(lake: string): Promise<void> {
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

async function compareEmbedded(): Promise<void> {
  const topic = `${directory}/topic.db`, own: Run[] = [], peer: Run[] = [];
  await fillTopic(`sqlite:${topic}`);
  for (let round = 0; round < ROUNDS; round++) {
    const lake = `${directory}/lake${round}`, table = `${directory}/peer${round}`;
    own.push(await timed(() => runOwn(`sqlite:${topic}`, lake), `${lake}/flow`));
    peer.push(await timed(() => runPeer(topic, table), table));
  }
  console.log(formatTable(HEAD, [line("skyfall: jobs run etl, exactly once", own), line("PyArrow and delta-rs, no offsets", peer)]));
  await printColumns(`${directory}/lake0`);
}

async function compareKafka(): Promise<void> {
  await using broker = await Broker.start();
  const topic = "flows", lake = `${directory}/kafka_lake`, folder = `${directory}/spark`;
  await fillTopic(broker.url(topic, `?partitions=${PARTITIONS}`));
  const own = [await timed(() => runOwn(broker.url(topic), lake), `${lake}/flow`)];
  const spark = [await timed(() => runSpark(broker, topic, folder), `${folder}/table`)];
  console.log(`\nFrom a Kafka broker, ${PARTITIONS} partitions; Spark without its start, ours with it:\n`);
  console.log(formatTable(HEAD, [line("skyfall: jobs run etl", own), line("Spark Structured Streaming to Delta, local[2]", spark)]));
  console.log(`\nOurs is ${(spark[0]!.cpuSeconds / own[0]!.cpuSeconds).toFixed(1)} times as fast a core.`);
}

console.log(`${rows} rows over ${SHAPE.minutes} minutes of 20,000 hosts, whole process\n`);
await (Deno.args.includes("--spark") ? compareKafka() : compareEmbedded());
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
