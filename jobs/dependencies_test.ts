/** The dependencies job: what it finds as rows come equals what SQL finds in the lake afterwards, whatever happens on the way. */

import assert from "node:assert/strict";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { DEFAULT_LATENESS_MINUTES, type DependenciesOptions, runDependencies } from "./dependencies.ts";
import { DependenciesWriter } from "./dependencies/writer.ts";
import { Database } from "./duckdb.ts";
import { publishConversations } from "./testdata/conversations.ts";
import { assertEqualsBatch, assertPublished } from "../tests/edges.ts";
import { ask, newPlace, type TestPlace } from "./testdata/topic.ts";

const MESSAGE_ROWS = 120;

const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");
const OPTIONS: DependenciesOptions = {
  partitions: null,
  group: null,
  follow: false,
  acceptedGaps: [],
  latenessMinutes: DEFAULT_LATENESS_MINUTES,
  outputTopic: null,
};

async function publish(place: TestPlace, from: number, to: number): Promise<void> {
  await publishConversations(place.topic, MESSAGE_ROWS, from, to);
}

Deno.test("runDependencies() finds what SQL finds in the lake, late rows too", async () => {
  const place = await newPlace();
  await publish(place, 0, 60);
  await runDependencies(url(place), place.lake, OPTIONS);
  assert.ok(await assertEqualsBatch(url(place), place.lake) > 1_000);
  const [row] = await ask(place.lake, "select count(*) filter (where revision > 0) as late, count(distinct hour) as hours from edge_1m");
  assert.notEqual(row!["late"], "0");
  assert.equal(row!["hours"], "2");
});

/** Runs the job in a process that is killed after so long, unless it has ended by then. */
async function runAndKill(place: TestPlace, args: readonly string[], afterMs: number): Promise<void> {
  const main = new URL("main.ts", import.meta.url).pathname;
  const job = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", main, "run", "dependencies", "--topic", url(place), "--lake", place.lake, ...args],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const killed = setTimeout(() => job.kill("SIGKILL"), afterMs);
  await job.status;
  clearTimeout(killed);
}

/** Runs to the end of the topic; who was killed may take a moment to let go of its lock. */
async function runToTheEnd(place: TestPlace, options: DependenciesOptions): Promise<void> {
  while ((await runDependencies(url(place), place.lake, options)).version === null) await new Promise((resolve) => setTimeout(resolve, 50));
}

Deno.test("runs that are killed at any moment lose and double nothing, in the table and in the topic of edges", async () => {
  const place = await newPlace(), output = `sqlite:${place.directory}/edges.db?partitions=2`, random = randomNumbers(11);
  for (let i = 0; i < 8; i++) {
    await publish(place, 15 * i, 15 * (i + 1));
    await runAndKill(place, ["--output-topic", output], 500 + random(2_000));
  }
  await runToTheEnd(place, { ...OPTIONS, outputTopic: output });
  await assertEqualsBatch(url(place), place.lake);
  await assertPublished(place.lake, output.replace(/\?.*/, ""));
});

Deno.test("what was committed but not published when a run was killed is published by the next, and no more", async () => {
  const place = await newPlace(), output = `sqlite:${place.directory}/edges.db`;
  await publish(place, 0, 30);
  await runDependencies(url(place), place.lake, OPTIONS);
  await runDependencies(url(place), place.lake, { ...OPTIONS, outputTopic: output });
  await assertPublished(place.lake, output);
  await publish(place, 30, 60);
  await runDependencies(url(place), place.lake, { ...OPTIONS, outputTopic: output });
  await publish(place, 60, 90);
  await runDependencies(url(place), place.lake, { ...OPTIONS, outputTopic: output });
  await assertPublished(place.lake, output);
});

Deno.test("partitions may change hands between runs that are killed", async () => {
  const place = await newPlace(), random = randomNumbers(12);
  for (let i = 0; i < 6; i++) {
    await publish(place, 15 * i, 15 * (i + 1));
    const [first, second] = i % 2 === 0 ? ["0", "1"] as const : ["1", "0"] as const;
    await Promise.all([
      runAndKill(place, ["--partitions", first], 500 + random(2_000)),
      runAndKill(place, ["--partitions", second], 500 + random(2_000)),
    ]);
  }
  await runToTheEnd(place, OPTIONS);
  await assertEqualsBatch(url(place), place.lake);
});

Deno.test("a message that gives no rows is passed over, as the ETL job does", async () => {
  const place = await newPlace();
  await publish(place, 0, 12);
  {
    await using producer = await openProducer(place.topic);
    await producer.publish([{ partition: 1, value: new TextEncoder().encode("garbage") }]);
  }
  await publish(place, 12, 40);
  assert.equal((await runDependencies(url(place), place.lake, OPTIONS)).setAside, 1);
  await assertEqualsBatch(url(place), place.lake);
});

Deno.test("of two runs on one partition the second to commit gives way, and goes on from what the first has committed", async () => {
  const place = await newPlace();
  await publish(place, 0, 30);
  await runDependencies(url(place), place.lake, OPTIONS);
  await publish(place, 30, 60);
  // Without their locks, as on two hosts of a file system that has none.
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: place.directory });
  await using consumer = await openConsumer(url(place));
  const config = { consumer, lake: place.lake, database, partitions: [0, 1], acceptedGaps: [], latenessMinutes: 2, output: null };
  const writers = [await DependenciesWriter.open(config), await DependenciesWriter.open(config)];
  const { signal } = new AbortController();
  assert.ok((await writers[0]!.step(false, signal))!.edges > 0);
  assert.equal((await writers[1]!.step(false, signal))!.edges, 0);
  await publish(place, 60, 90);
  assert.ok((await writers[1]!.step(false, signal))!.edges > 0);
  await assertEqualsBatch(url(place), place.lake);
});

Deno.test("messages that are gone before they were read are an error with the option that gives them up, and then a gap in the history", async () => {
  const place = await newPlace();
  await publish(place, 0, 30);
  await runDependencies(url(place), place.lake, OPTIONS);
  await publish(place, 30, 60);
  const { DatabaseSync } = await import("node:sqlite");
  using topic = new DatabaseSync(`${place.directory}/topic.db`);
  topic.exec("delete from message where partition = 1 and offset < 40");
  const error = await runDependencies(url(place), place.lake, OPTIONS).catch((error) => error);
  const [, from, to] = /jobs run dependencies --accept-gap 1:(\d+)-(40)"/.exec(error.message) ?? [];
  assert.ok(from !== undefined && to !== undefined, error.message);
  const gap = { partition: 1, from: BigInt(from), to: BigInt(to) };
  await runDependencies(url(place), place.lake, { ...OPTIONS, acceptedGaps: [gap] });
  await runDependencies(url(place), place.lake, OPTIONS);
  const log = `${place.lake}/edge_1m/_delta_log`;
  const commits = await Promise.all([...Deno.readDirSync(log)].map(({ name }) => Deno.readTextFile(`${log}/${name}`)));
  assert.equal(commits.filter((text) => text.includes('"gaps":"{\\"topic.db')).length, 1);
  const [row] = await ask(place.lake, "select max(src_offset_to)::integer as last from edge_1m where src_partition = 1");
  assert.ok(Number(row!["last"]) > 40);
});
