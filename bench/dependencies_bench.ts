/**
 * The dependencies job on 1 and 10 million rows of a topic: CPU seconds of the whole process, start included, its memory, and every edge
 * compared with what the generator says; on the lesser also beside DuckDB over the same rows once they are in the lake. With `--spark`
 * instead from a Kafka broker, beside Spark Structured Streaming that adds up the same minutes.
 */

import { DEFAULT_LATENESS_MINUTES } from "../jobs/dependencies.ts";
import { withLake } from "../jobs/query.ts";
import { openProducer } from "../lib/topic/open.ts";
import { PROJECT } from "../tests/sources.ts";
import { Broker } from "../tools/kafka.ts";
import { type CommandCost, costOfJobs } from "./command_cost.ts";
import { conversationsAMinute, type ExpectedEdge, expectedEdges, type FlowShape, rowsOf } from "./flow_generator.ts";
import { flowMessages } from "./flow_messages.ts";
import { costOfSpark } from "./spark_cost.ts";
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

const directory = await Deno.makeTempDir(), lake = `${directory}/lake`;

async function fillTopic(url: string, shape: FlowShape): Promise<void> {
  await using producer = await openProducer(url);
  for (const record of flowMessages(shape, producer.partitionCount)) await producer.publish([record]);
}

/** A table of the lake that may not be there. */
async function removeTable(name: string): Promise<void> {
  await Deno.remove(`${lake}/${name}`, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** Runs the job into an empty lake. */
async function runOwn(topic: string): Promise<CommandCost> {
  await removeTable("edge_1m");
  return await costOfJobs("run", "dependencies", "--topic", topic, "--lake", lake);
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

function line(shape: FlowShape, name: string, runs: readonly CommandCost[]): (string | number)[] {
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
  const reference = await Deno.readTextFile(new URL("jobs/dependencies.sql", PROJECT));
  const ways = [
    { name: own, run: () => runOwn(small) },
    { name: "what those of DuckDB need first: jobs run etl", run: () => costOfJobs("run", "etl", "--topic", small, "--lake", lake) },
    { name: "DuckDB over flow, the same answer (dependencies.sql)", run: () => costOfJobs("sql", countOf(reference), "--lake", lake) },
    { name: "DuckDB over flow, sums of conversations alone", run: () => costOfJobs("sql", countOf(PLAIN_SUMS), "--lake", lake) },
  ];
  const runs = ways.map((): CommandCost[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    await removeTable("flow");
    for (const [i, { run }] of ways.entries()) runs[i]!.push(await run());
    await assertEdges(SMALL);
  }
  await Deno.remove(`${directory}/small.db`);
  await fillTopic(large, LARGE);
  const largeRun = await runOwn(large);
  await assertEdges(LARGE);
  console.log(formatTable(HEAD, [...ways.map(({ name }, i) => line(SMALL, name, runs[i]!)), line(LARGE, own, [largeRun])]));
}

async function compareKafka(): Promise<void> {
  await using broker = await Broker.start();
  const topic = "flows";
  await fillTopic(broker.url(topic, `?partitions=${PARTITIONS}`), SMALL);
  const own: CommandCost[] = [];
  for (let round = 0; round < ROUNDS; round++) own.push(await runOwn(broker.url(topic)));
  await assertEdges(SMALL);
  const spark = await costOfSpark({
    script: "dependencies_spark.py",
    broker,
    topic,
    folder: `${directory}/spark`,
    rows: rowsOf(closedOf(SMALL)),
    more: [String(DEFAULT_LATENESS_MINUTES)],
  });
  console.log(
    `From a Kafka broker, ${PARTITIONS} partitions; Spark without its start, ours with it:\n`,
  );
  console.log(formatTable(HEAD, [
    line(SMALL, "skyfall: jobs run dependencies", own),
    line(SMALL, "Spark Structured Streaming, local[2], sums of conversations alone", [spark]),
  ]));
}

await (Deno.args.includes("--spark") ? compareKafka() : compareEmbedded());
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
