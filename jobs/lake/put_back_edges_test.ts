/** Commits of ours to the tables of edges that another program has put its own over come back, or are made again: each edge once. */

import assert from "node:assert/strict";
import { openProducer } from "../../lib/topic/open.ts";
import { runCompact } from "../compact.ts";
import { DEFAULT_LATENESS_MINUTES, runDependencies } from "../dependencies.ts";
import { ALL_ONCE, runEtl } from "../etl.ts";
import { conversationMessage } from "../testdata/conversations.ts";
import { ask, newPlace, type TestPlace } from "../testdata/topic.ts";
import { listLog, versionFile } from "./delta_log.ts";

const MESSAGE_ROWS = 40, MESSAGES = 12;
const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");
const rowsOf = ({ lake }: TestPlace, table: string) => ask(lake, `select * exclude (date) from ${table} order by all`);

async function runJobs(place: TestPlace): Promise<void> {
  await runEtl(url(place), place.lake);
  await runDependencies(url(place), place.lake, { ...ALL_ONCE, latenessMinutes: DEFAULT_LATENESS_MINUTES, outputTopic: null });
}

/** Publishes messages of some minutes, and runs the jobs. */
async function moveMore(place: TestPlace, round: number): Promise<void> {
  {
    await using producer = await openProducer(place.topic);
    for (let i = MESSAGES * round; i < MESSAGES * (round + 1); i++) {
      await producer.publish([0, 1].map((partition) => ({ partition, value: conversationMessage(MESSAGE_ROWS, 2 * i + partition, i) })));
    }
  }
  await runJobs(place);
}

async function newLake(rounds: number, afterRound: (place: TestPlace) => Promise<unknown> = () => Promise.resolve()): Promise<TestPlace> {
  const place = await newPlace();
  for (let round = 0; round < rounds; round++) {
    await moveMore(place, round);
    await afterRound(place);
  }
  return place;
}

/** What another program's commit is that renames without looking. */
async function overwrite(place: TestPlace, table: string, version: bigint): Promise<void> {
  const log = `${place.lake}/${table}/_delta_log`;
  await Deno.writeTextFile(`${log}/.other`, JSON.stringify({ commitInfo: { engineInfo: "Other", operation: "WRITE" } }) + "\n");
  await Deno.rename(`${log}/.other`, `${log}/${versionFile(version)}`);
}

const newest = ({ lake }: TestPlace, table: string) => listLog(`${lake}/${table}`).versions.at(-1)!;

for (const which of ["newest", "one before"] as const) {
  Deno.test(`minutes of edges whose ${which} commit was overwritten come back with the next run, each once`, async () => {
    const place = await newLake(3), before = await rowsOf(place, "edge_1m"), last = newest(place, "edge_1m");
    const version = which === "newest" ? last : last - 1n;
    await overwrite(place, "edge_1m", version);
    assert.ok((await rowsOf(place, "edge_1m")).length < before.length);
    await runJobs(place);
    assert.deepEqual(await rowsOf(place, "edge_1m"), before);
    await moveMore(place, 3);
    const all = ({ lake }: TestPlace) => ask(lake, "select * exclude (date, src_topic) from edge_1m order by all");
    assert.deepEqual(await all(place), await all(await newLake(4)));
  });
}

for (const table of ["edge_1h", "edge_1d"]) {
  Deno.test(`sums of ${table} whose newest commit was overwritten are made again by the next compaction`, async () => {
    const place = await newLake(3, ({ lake }) => runCompact(lake, new Map())), before = await rowsOf(place, table);
    await overwrite(place, table, newest(place, table));
    assert.notDeepEqual(await rowsOf(place, table), before);
    await runCompact(place.lake, new Map());
    assert.deepEqual(await rowsOf(place, table), before);
    await moveMore(place, 3);
    await runCompact(place.lake, new Map());
    const sums = (from: string) =>
      ask(place.lake, `select sum(flow_rows)::varchar as rows, sum(bytes_sent)::varchar as bytes from ${from}`);
    assert.deepEqual(await sums(table), await sums("edge_1m"));
  });
}
