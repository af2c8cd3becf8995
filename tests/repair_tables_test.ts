/** Every table's damaged files are made again with the same rows, value for value, from what they came from. */

import assert from "node:assert/strict";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch, START_US } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { auditLake } from "../jobs/audit/audit.ts";
import { runCompact } from "../jobs/compact.ts";
import { DEFAULT_LATENESS_MINUTES, runDependencies } from "../jobs/dependencies.ts";
import { Database } from "../jobs/duckdb.ts";
import { runEtl } from "../jobs/etl.ts";
import { dataFilePath, readTable, tableDirectory } from "../jobs/lake/table.ts";
import { TABLES } from "../jobs/lake/tables.ts";
import { publishConversations } from "../jobs/testdata/conversations.ts";
import { ask, newPlace, type TestPlace } from "../jobs/testdata/topic.ts";
import { repairLake, type RepairResult } from "../jobs/repair/repair.ts";

const MESSAGE_ROWS = 40;
const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");

/** Publishes a message a third of a minute to either partition, one that gives no rows, and one that tells of losses on two days. */
async function publish(place: TestPlace, from: number, to: number): Promise<void> {
  await publishConversations(place.topic, MESSAGE_ROWS, from, to);
  await using producer = await openProducer(place.topic);
  const agentLosses = [0, 86_400_000_000].map((later) => ({
    loss_start: START_US + later,
    loss_end: START_US + later,
    agent_address: `10.0.0.${from}`,
    sub_agent_id: null,
    agent_count: 1,
    datagrams_lost: from,
    flow_records_missing: 0,
    agent_dropped_events: 0,
  }));
  await producer.publish([
    { partition: 1, value: new TextEncoder().encode(`garbage ${from}`) },
    { partition: 0, value: encodeFlowBatch({ ...flowBatch(1, from), agentLosses }) },
  ]);
}

async function runJobs(place: TestPlace): Promise<void> {
  await runEtl(url(place), place.lake);
  const all = { partitions: null, group: null, follow: false, acceptedGaps: [] };
  await runDependencies(url(place), place.lake, { ...all, latenessMinutes: DEFAULT_LATENESS_MINUTES, outputTopic: null });
}

/** A lake with rows in every table: minutes of two hours, in several commits, with late rows. */
async function newLake(): Promise<TestPlace> {
  const place = await newPlace();
  for (const [from, to] of [[170, 185], [185, 200], [172, 176]] as const) {
    await publish(place, from, to);
    await runJobs(place);
  }
  return place;
}

async function filesOf({ lake }: TestPlace, table: string): Promise<string[]> {
  const definition = TABLES.find(({ name }) => name === table)!, directory = tableDirectory(lake, definition);
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
  return [...(await readTable(directory, definition, database)).files.keys()].map((path) => dataFilePath(directory, path)).sort();
}

/** All rows of a table, in an order of their own. */
const rowsOf = ({ lake }: TestPlace, table: string) => ask(lake, `select * exclude (date) from ${table} order by all`);

async function remove(place: TestPlace, table: string, which: (path: string, i: number) => boolean = () => true): Promise<number> {
  const paths = (await filesOf(place, table)).filter(which);
  for (const path of paths) await Deno.remove(path);
  assert.ok(paths.length > 0);
  return paths.length;
}

function repair(place: TestPlace, topicUrl: string | null, ...acceptedLosses: string[]): Promise<RepairResult | null> {
  return repairLake(place.lake, { topicUrl, acceptedLosses });
}

async function assertAudited(place: TestPlace): Promise<void> {
  assert.deepEqual((await auditLake(place.lake, url(place), () => {})).flatMap(({ problems }) => problems), []);
}

for (const isCompacted of [false, true]) {
  const state = isCompacted ? "compacted" : "landed";
  for (const table of ["flow", "dead_letter", "agent_loss", "edge_1m"]) {
    Deno.test(`repairLake() makes all ${state} files of ${table} again from the topic`, async () => {
      const place = await newLake();
      if (isCompacted) await runCompact(place.lake, new Map());
      const before = await rowsOf(place, table), files = await remove(place, table);
      assert.deepEqual(await repair(place, url(place)), { files, restoredRows: before.length, lostRows: 0 });
      assert.deepEqual(await rowsOf(place, table), before);
      await assertAudited(place);
    });
  }
}

Deno.test("repairLake() makes minutes of edges again from flow where the topic is gone, beside revisions that are whole", async () => {
  const place = await newLake(), before = await rowsOf(place, "edge_1m");
  const files = await remove(place, "edge_1m", (_, i) => i % 2 === 1);
  assert.equal((await repair(place, null))!.files, files);
  assert.deepEqual(await rowsOf(place, "edge_1m"), before);
  await assertAudited(place);
});

Deno.test("minutes that were made again are added up once, whether they were before or not", async () => {
  const place = await newLake();
  await runCompact(place.lake, new Map());
  await publish(place, 200, 210);
  await runJobs(place);
  await remove(place, "edge_1m");
  await repair(place, url(place));
  await runCompact(place.lake, new Map());
  for (const table of ["edge_1h", "edge_1d"]) {
    const sums = (from: string) =>
      ask(place.lake, `select sum(bytes_sent)::varchar as bytes, sum(flow_rows)::varchar as rows from ${from}`);
    assert.deepEqual(await sums(table), await sums("edge_1m"));
  }
});

for (const table of ["edge_1h", "edge_1d"]) {
  Deno.test(`repairLake() makes ${table} again from minutes, with those that were not added up yet`, async () => {
    const place = await newLake();
    await runCompact(place.lake, new Map());
    const before = await rowsOf(place, table);
    await remove(place, table);
    await repair(place, null);
    assert.deepEqual(await rowsOf(place, table), before);
    await publish(place, 200, 210);
    await runJobs(place);
    await remove(place, table);
    await repair(place, null);
    await runCompact(place.lake, new Map());
    const made = await rowsOf(place, table);
    await Deno.remove(`${place.lake}/${table}`, { recursive: true });
    await runCompact(place.lake, new Map());
    assert.deepEqual(await rowsOf(place, table), made);
  });
}

Deno.test("repairLake() makes days from hours where minutes are no longer kept, and gives hours up only by their name", async () => {
  const place = await newLake();
  await runCompact(place.lake, new Map());
  await remove(place, "flow");
  await remove(place, "edge_1m");
  await assert.rejects(
    repair(place, null, "flow"),
    (error: Error) => error.message.includes("--accept-loss edge_1m/date=2026-01-02/hour=4"),
  );
  await repair(place, null, "flow", "edge_1m");
  const before = await rowsOf(place, "edge_1d");
  await remove(place, "edge_1d");
  await repair(place, null);
  assert.deepEqual(await rowsOf(place, "edge_1d"), before);
  await remove(place, "edge_1h");
  const named = "edge_1h/date=2026-01-02";
  await assert.rejects(
    repair(place, null, "edge_1h/date=2026-01-03", "flow"),
    (error: Error) => error.message.includes(`--accept-loss ${named}"`),
  );
  assert.ok((await repair(place, null, named))!.lostRows > 0);
  assert.deepEqual(await rowsOf(place, "edge_1h"), []);
});

Deno.test("repairLake() says all that it cannot make again, and puts the rest right", async () => {
  const place = await newLake(), before = await rowsOf(place, "edge_1m");
  await remove(place, "flow");
  await remove(place, "dead_letter");
  await assert.rejects(repair(place, null), {
    name: "LakeError",
    message: /"flow\/date=2026-01-02\/hour=4" lacks 3 files of \d+ rows, whose topic was not given.*--accept-loss/,
  });
  await repair(place, url(place));
  await remove(place, "edge_1m");
  await repair(place, null);
  assert.deepEqual(await rowsOf(place, "edge_1m"), before);
});
