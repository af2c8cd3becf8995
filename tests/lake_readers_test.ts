/** Other programs read the lake: delta-rs and Spark find the rows, the sums and the offsets that our own SQL finds. */

import assert from "node:assert/strict";
import { analyse, ANALYSES, type Analysis } from "../jobs/analytics.ts";
import { runEtl } from "../jobs/etl.ts";
import { withLake } from "../jobs/query.ts";
import { ask, publishFlows, type TestPlace, version1Place } from "../jobs/testdata/topic.ts";
import { BATCH_ROWS_MAX, encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { python, sparkJars } from "../tools/cache.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const OWN = `select count(*) as rows, sum(bytes_sent)::bigint as bytes_sent, sum(bytes_received)::bigint as bytes_received,
  sum(len(client_ports))::bigint as client_ports, count(*) - count(srtt_us_min) as srtt_us_min_nulls, count(*) - count(reporter) as reporter_nulls,
  sum(epoch_us(window_start) % 1000003)::bigint as window_start_us, count(distinct client_service_name) as client_services from flow`;

/** So many rows that a column of random numbers has no dictionary. */
const MANY_MESSAGES = 3;

async function publishMany(topic: string): Promise<void> {
  await using producer = await openProducer(topic);
  for (let i = 0; i < MANY_MESSAGES; i++) {
    await producer.publish([{ partition: 0, value: encodeFlowBatch(flowBatch(BATCH_ROWS_MAX, 5_000 + i)) }]);
  }
}

/** A lake of several commits, the first by version 1, and what our own SQL says about it. */
async function newLake(): Promise<{ readonly place: TestPlace; readonly table: string; readonly own: Record<string, number> }> {
  const place = await version1Place();
  for (let i = 0; i < 4; i++) {
    await publishFlows(place.topic, 12, 1_000 * i);
    await runEtl(place.topic, place.lake);
  }
  await publishMany(place.topic);
  await runEtl(place.topic, place.lake);
  const [row] = await ask(place.lake, OWN);
  const own = Object.fromEntries(Object.entries(row!).map(([name, value]) => [name, Number(value)]));
  assert.deepEqual([own["rows"], own["reporter_nulls"]], [12 + 4 * 12 * 50 + MANY_MESSAGES * BATCH_ROWS_MAX, 12]);
  return { place, table: `${place.lake}/flow`, own };
}

async function hours(place: TestPlace): Promise<string[]> {
  return (await ask(place.lake, "select distinct concat(date, ' ', hour) as hour from flow order by 1")).map((row) => String(row["hour"]));
}

/** The rows of our own answer, whose numbers of 64 bits are text. */
async function withNumbers(place: TestPlace, analysis: Analysis): Promise<Record<string, unknown>[]> {
  const { columns, rows } = await withLake(place.lake, (database) => analyse(database, analysis));
  return rows.map((row) =>
    Object.fromEntries(columns.map(({ name, isNumber }) => [name, isNumber && row[name] !== null ? Number(row[name]) : row[name]]))
  );
}

async function readWith(script: string, ...args: string[]): Promise<Record<string, unknown>> {
  const path = new URL(`lake_readers/${script}`, import.meta.url).pathname;
  const command = new Deno.Command(await python(), {
    args: [path, ...args],
    env: { SPARK_LOCAL_IP: "127.0.0.1" },
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const noPython = await missingCommand("python3", "--version");

testWith(noPython, "delta-rs reads the same rows, sums and offsets as our SQL", async () => {
  const { place, table, own } = await newLake();
  await using consumer = await openConsumer(place.topic);
  const applications = [0, 1].map((partition) => `skyfall-etl:${consumer.topicName}:${partition}`);
  assert.deepEqual(await readWith("delta_rs.py", table, ...applications), {
    version: 5,
    ...own,
    hours: await hours(place),
    next_offsets: [25 + MANY_MESSAGES, 25],
  });
});

testWith(
  firstMissing(noPython, await missingCommand("java", "-version"), await missingCommand("mvn", "--version")),
  "Spark reads the same rows and sums as our SQL, and finds the same dependency graph",
  async () => {
    const { place, table, own } = await newLake();
    const graph = ANALYSES.find(({ name }) => name === "dependency-graph")!;
    const { analysis, ...answer } = await readWith("spark.py", table, (await sparkJars()).join(","), graph.file.pathname);
    assert.deepEqual(answer, { ...own, hours: await hours(place) });
    assert.deepEqual(analysis, await withNumbers(place, graph));
  },
);
