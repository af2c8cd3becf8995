/**
 * The dependencies job on 1 and 10 million rows of a topic: CPU seconds of the whole process, start included, its memory, and every edge
 * compared with what the generator says; on the lesser also beside DuckDB over the same rows once they are in the lake. With `--spark`
 * instead from a Kafka broker, beside Spark Structured Streaming that adds up the same minutes.
 */

import { taskArguments } from "../chain/program.ts";
import { DEFAULT_LATENESS_MINUTES } from "../jobs/dependencies.ts";
import { SPARK_TYPES } from "../jobs/engines/spark.ts";
import { withLake } from "../jobs/query.ts";
import { MESSAGE_COLUMNS } from "../lib/records.ts";
import { openProducer } from "../lib/topic/open.ts";
import { PROJECT } from "../tests/sources.ts";
import { python, sparkKafkaJars } from "../tools/cache.ts";
import { Broker } from "../tools/kafka.ts";
import { type CommandCost, costOf } from "./command_cost.ts";
import { conversationsAMinute, type ExpectedEdge, expectedEdges, type FlowShape, rowsOf } from "./flow_generator.ts";
import { flowMessages } from "./flow_messages.ts";
import { formatTable } from "./table.ts";

const SMALL: FlowShape = { rows: 1_000_000, minutes: 15, seed: 1 }, LARGE: FlowShape = { rows: 10_000_000, minutes: 150, seed: 1 };
const ROUNDS = 3, PARTITIONS = 2;
const PLAIN_SUMS =
  `select date_trunc('minute', window_start) as minute, client_service_name, server_service_name, client_address, server_address,
  server_port, sum(bytes_sent), sum(bytes_received), sum(retransmits), sum(connections_opened), sum(srtt_us_sum), sum(srtt_samples)
  from flow group by all`;
const EDGES = `select client_service_name, server_service_name, server_port, sum(flow_rows), sum(connections_opened),
    sum(connections_failed_refused), sum(bytes_sent), sum(bytes_received), sum(retransmits), sum(srtt_us_sum), sum(srtt_samples)
  from edge_1m
  where client_address = '' and server_address = '' and revision = 0
  group by all`;
const HEAD = ["rows", "program", "CPU s of each round", "least s", "k rows a CPU s", "peak MB"];

interface Run {
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly peakBytes: number;
}

const directory = await Deno.makeTempDir(), lake = `${directory}/lake`;

async function fillTopic(url: string, shape: FlowShape): Promise<void> {
  await using producer = await openProducer(url);
  for (const record of flowMessages(shape, producer.partitionCount)) await producer.publish([record]);
}

async function timed(run: () => Promise<CommandCost>): Promise<Run> {
  const startMs = performance.now(), { cpuSeconds, peakBytes } = await run();
  return { cpuSeconds, peakBytes, seconds: (performance.now() - startMs) / 1_000 };
}

async function runJobs(...args: string[]): Promise<CommandCost> {
  return await costOf(Deno.execPath(), [...await taskArguments("jobs"), ...args]);
}

/** Runs the job into an empty lake. */
async function runOwn(topic: string): Promise<CommandCost> {
  await Deno.remove(`${lake}/edge_1m`, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  return await runJobs("run", "dependencies", "--topic", topic, "--lake", lake);
}

/** The minutes that are closed at the end of the topic. */
function closedOf(shape: FlowShape): FlowShape {
  const minutes = shape.minutes - 1 - DEFAULT_LATENESS_MINUTES;
  return { ...shape, minutes, rows: 2 * minutes * conversationsAMinute(shape) };
}

/** @throws {Error} If an edge of a closed minute is not what the generator says. */
async function assertEdges(shape: FlowShape): Promise<void> {
  const text = (edge: ExpectedEdge) =>
    JSON.stringify([
      edge.clientService,
      edge.serverService,
      edge.serverPort,
      edge.rows,
      edge.connections,
      edge.failedConnections,
      edge.txBytes,
      edge.rxBytes,
      edge.retransmits,
      edge.srttUsSum,
      edge.srttSamples,
    ].map(String));
  const found = (await withLake(lake, (database) => database.rows(EDGES))).map((row) => JSON.stringify(Object.values(row).map(String)));
  const expected = new Set(expectedEdges(closedOf(shape)).map(text)), wrong = found.find((row) => !expected.has(row));
  if (wrong !== undefined || found.length !== expected.size) {
    throw new Error(`Cannot trust the dependencies job: ${found.length} edges, one is ${wrong}, needed ${expected.size}`);
  }
}

function line(shape: FlowShape, name: string, runs: readonly Run[]): (string | number)[] {
  const rows = rowsOf(shape), sorted = runs.map(({ cpuSeconds }) => cpuSeconds).sort((a, b) => a - b);
  return [
    rows,
    name,
    sorted.map((seconds) => seconds.toFixed(2)).join(" / "),
    Math.min(...runs.map(({ seconds }) => seconds)).toFixed(1),
    (rows / sorted[sorted.length >> 1]! / 1e3).toFixed(0),
    runs.some(({ peakBytes }) => Number.isNaN(peakBytes)) ? "-" : (Math.max(...runs.map(({ peakBytes }) => peakBytes)) / 1e6).toFixed(0),
  ];
}

/** The same work, but no answer to print. */
function countOf(query: string): string {
  return `select count(*), sum(hash(answer)) from (${query}) answer`;
}

async function compareEmbedded(): Promise<void> {
  const small = `sqlite:${directory}/small.db`,
    large = `sqlite:${directory}/large.db`,
    own = "skyfall: jobs run dependencies, topic to edge_1m";
  await fillTopic(small, SMALL);
  const text = await Deno.readTextFile(new URL("jobs/dependencies.sql", PROJECT));
  const reference = text.slice(text.indexOf("with")); // two hyphens would begin an option
  const ways = [
    { name: own, run: () => runOwn(small) },
    { name: "what those of DuckDB need first: jobs run etl", run: () => runJobs("run", "etl", "--topic", small, "--lake", lake) },
    { name: "DuckDB over flow, the same answer (dependencies.sql)", run: () => runJobs("sql", countOf(reference), "--lake", lake) },
    { name: "DuckDB over flow, sums of conversations alone", run: () => runJobs("sql", countOf(PLAIN_SUMS), "--lake", lake) },
  ];
  const runs = ways.map((): Run[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    await Deno.remove(`${lake}/flow`, { recursive: true }).catch(() => {}); // the first round has none
    for (const [i, { run }] of ways.entries()) runs[i]!.push(await timed(run));
    await assertEdges(SMALL);
  }
  await Deno.remove(`${directory}/small.db`);
  await fillTopic(large, LARGE);
  const largeRun = await timed(() => runOwn(large));
  await assertEdges(LARGE);
  console.log(formatTable(HEAD, [...ways.map(({ name }, i) => line(SMALL, name, runs[i]!)), line(LARGE, own, [largeRun])]));
}

/** CPU seconds of Spark's query alone. */
async function runSpark(broker: Broker, topic: string): Promise<CommandCost> {
  const script = new URL("dependencies_spark.py", import.meta.url).pathname,
    jars = (await sparkKafkaJars()).join(","),
    own = await python();
  const columns = MESSAGE_COLUMNS.map(({ name, type }) => `${name} ${SPARK_TYPES[type]}`).join(", ");
  const args = [script, broker.address, topic, `${directory}/spark`, jars, columns, String(DEFAULT_LATENESS_MINUTES)];
  const cost = await costOf(own, args, { SPARK_LOCAL_IP: "127.0.0.1", PYSPARK_PYTHON: own });
  const told = JSON.parse(cost.stdout), expected = rowsOf(closedOf(SMALL));
  if (told.rows !== expected) throw new Error(`Cannot trust Spark: ${told.rows} rows, needed ${expected}`);
  return { ...cost, cpuSeconds: Number(told.cpu_seconds), peakBytes: NaN }; // it has more than one process
}

async function compareKafka(): Promise<void> {
  await using broker = await Broker.start();
  const topic = "flows";
  await fillTopic(broker.url(topic, `?partitions=${PARTITIONS}`), SMALL);
  const own: Run[] = [];
  for (let round = 0; round < ROUNDS; round++) own.push(await timed(() => runOwn(broker.url(topic))));
  await assertEdges(SMALL);
  const spark = [await timed(() => runSpark(broker, topic))];
  console.log(
    `From a Kafka broker, ${PARTITIONS} partitions; Spark without its start, ours with it:\n`,
  );
  console.log(formatTable(HEAD, [
    line(SMALL, "skyfall: jobs run dependencies", own),
    line(SMALL, "Spark Structured Streaming, local[2], sums of conversations alone", spark),
  ]));
}

await (Deno.args.includes("--spark") ? compareKafka() : compareEmbedded());
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
