/** The dependencies job: what it finds as rows come equals what SQL finds in the lake afterwards, whatever happens on the way. */

import assert from "node:assert/strict";
import { tableFromIPC } from "apache-arrow";
import { EDGE_COLUMNS } from "../lib/edge_columns.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { DEFAULT_LATENESS_MINUTES, type DependenciesOptions, runDependencies } from "./dependencies.ts";
import { DependenciesWriter } from "./dependencies/writer.ts";
import { Database } from "./duckdb.ts";
import { runEtl } from "./etl.ts";
import { withLake } from "./query.ts";
import { conversationMessage } from "./testdata/conversations.ts";
import { ask, newPlace, type TestPlace } from "./testdata/topic.ts";

const REFERENCE = await Deno.readTextFile(new URL("dependencies.sql", import.meta.url));
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

/** Publishes a message a third of a minute to either partition. */
async function publish(place: TestPlace, from: number, to: number): Promise<void> {
  await using producer = await openProducer(place.topic);
  for (let i = from; i < to; i++) {
    await producer.publish([0, 1].map((partition) => ({
      partition,
      value: conversationMessage(MESSAGE_ROWS, 2 * i + partition, Math.floor(i / 3)),
    })));
  }
}

/** Moves the topic into `flow`, and compares `edge_1m` with what SQL finds there, row by row and in every column. */
async function assertEqualsBatch(place: TestPlace): Promise<number> {
  await runEtl(url(place), place.lake);
  return await withLake(place.lake, async (database) => {
    const expected = await database.rows(REFERENCE);
    const columns = Object.keys(expected[0] ?? {});
    assert.deepEqual(columns, EDGE_COLUMNS.map(({ name }) => name).filter((name) => name !== "schema_version"));
    const order = REFERENCE.slice(REFERENCE.lastIndexOf("order by"));
    const found = await database.rows(`select ${columns.join(", ")} from edge_1m ${order}`);
    assert.equal(found.length, expected.length);
    for (const [i, row] of found.entries()) assert.deepEqual(row, expected[i]);
    await assertEveryRowIsTold(place);
    return found.length;
  });
}

/** Each row of a minute that is closed is in one range of a revision, and in one alone. */
async function assertEveryRowIsTold(place: TestPlace): Promise<void> {
  const [row] = await ask(
    place.lake,
    `with ranges as (
      select src_partition, window_start, src_offset_from, max(src_offset_to) as src_offset_to from edge_1m group by all
    ),
    told as (
      select f.src_partition, f.src_offset, f.src_index, count(r.src_offset_to) as ranges
      from flow f
      left join ranges r on r.src_partition = f.src_partition and r.window_start = date_trunc('minute', f.window_start)
        and f.src_offset >= r.src_offset_from and f.src_offset < r.src_offset_to
      where f.src_offset < (select max(src_offset_to) from edge_1m e where e.src_partition = f.src_partition)
        and f.window_start < (select max(window_start) from edge_1m e where e.src_partition = f.src_partition and revision = 0)
      group by all
    )
    select count(*) as rows, count(*) filter (where ranges <> 1) as wrong from told`,
  );
  assert.equal(row!["wrong"], "0");
  assert.notEqual(row!["rows"], "0");
}

Deno.test("runDependencies() finds what SQL finds in the lake, late rows too", async () => {
  const place = await newPlace();
  await publish(place, 0, 60);
  await runDependencies(url(place), place.lake, OPTIONS);
  assert.ok(await assertEqualsBatch(place) > 1_000);
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

/** Rows of the topic of edges by all of their key, and how many came again; what comes again is the same. */
async function publishedEdges(topic: string): Promise<{ readonly rows: Map<string, string>; readonly repeated: number }> {
  await using consumer = await openConsumer(topic);
  const rows = new Map<string, string>();
  let repeated = 0;
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { value } of await consumer.read(partition, 0n, 1 << 30)) {
      for (const row of tableFromIPC(value)) {
        const { srtt_us_histogram, ...plain } = row.toJSON();
        const texts = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, value === null ? null : String(value)]));
        const text = JSON.stringify({ ...texts, srtt_us_histogram: [...srtt_us_histogram].map(String) });
        const key = KEY.map((name) => texts[name]).join("\u0000");
        if (rows.has(key)) repeated++;
        assert.equal(rows.get(key) ?? text, text);
        rows.set(key, text);
      }
    }
  }
  return { rows, repeated };
}

const KEY = EDGE_COLUMNS.filter(({ name, merge }) =>
  merge === "minute" || merge === "key" || name === "revision" || name === "src_partition"
)
  .map(({ name }) => name);

/** Compares the topic of edges with the table. */
async function assertPublished(place: TestPlace, topic: string): Promise<void> {
  const { rows } = await publishedEdges(topic);
  const columns = EDGE_COLUMNS.map(({ name }) => name === "window_start" ? "epoch_ms(window_start) as window_start" : name);
  const table = await ask(place.lake, `select ${columns.join(", ")} from edge_1m`);
  assert.equal(rows.size, table.length);
  for (const row of table) {
    const { srtt_us_histogram, ...plain } = row;
    const texts = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, value === null ? null : String(value)]));
    assert.ok(Array.isArray(srtt_us_histogram));
    const text = rows.get(KEY.map((name) => texts[name]).join("\u0000"));
    assert.deepEqual(JSON.parse(text ?? "null"), { ...texts, srtt_us_histogram });
  }
}

Deno.test("runs that are killed at any moment lose and double nothing, in the table and in the topic of edges", async () => {
  const place = await newPlace(), output = `sqlite:${place.directory}/edges.db?partitions=2`, random = randomNumbers(11);
  for (let i = 0; i < 8; i++) {
    await publish(place, 15 * i, 15 * (i + 1));
    await runAndKill(place, ["--output-topic", output], 500 + random(2_000));
  }
  await runToTheEnd(place, { ...OPTIONS, outputTopic: output });
  await assertEqualsBatch(place);
  await assertPublished(place, output.replace(/\?.*/, ""));
});

Deno.test("what was committed but not published when a run was killed is published by the next, and no more", async () => {
  const place = await newPlace(), output = `sqlite:${place.directory}/edges.db`;
  await publish(place, 0, 30);
  await runDependencies(url(place), place.lake, OPTIONS);
  await runDependencies(url(place), place.lake, { ...OPTIONS, outputTopic: output });
  await assertPublished(place, output);
  await publish(place, 30, 60);
  await runDependencies(url(place), place.lake, { ...OPTIONS, outputTopic: output });
  await publish(place, 60, 90);
  await runDependencies(url(place), place.lake, { ...OPTIONS, outputTopic: output });
  await assertPublished(place, output);
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
  await assertEqualsBatch(place);
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
  await assertEqualsBatch(place);
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
  await assertEqualsBatch(place);
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
