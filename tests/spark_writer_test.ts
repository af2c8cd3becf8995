/** Spark writes to the lake beside our jobs, through the log store that we ship: nothing is lost, nothing is doubled. */

import assert from "node:assert/strict";
import { runEtl } from "../jobs/etl.ts";
import { commitVersion } from "../jobs/lake/delta_log.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "../jobs/testdata/topic.ts";
import { testWith } from "./require.ts";
import { missingSpark, Spark } from "./spark/session.ts";

const missing = await missingSpark();
const STORE = "skyfall.delta.LinkLogStore";

/** Rows that the ETL job brought, where each row came from, and rows that Spark brought, which come from nowhere. */
async function counts(lake: string): Promise<Record<string, number>> {
  const [row] = await ask(
    lake,
    `select count(src_offset)::integer as etl, count(distinct (src_partition, src_offset, src_index)) filter (src_offset is not null)::integer as places,
      count(*) filter (src_offset is null)::integer as spark, sum(bytes_sent)::bigint::varchar as bytes from flow`,
  );
  return Object.fromEntries(Object.entries(row!).map(([name, value]) => [name, Number(value)]));
}

/** A row of Spark's own. */
const insert = (table: string, number: number) =>
  `insert into ${table} (window_start, window_end, client_service_name, bytes_sent, date, hour)
    values (timestamp '2026-01-02 03:30:00', timestamp '2026-01-02 03:31:00', 'by spark ${number}', 1, date '2026-01-02', 3)`;

const tableOf = (place: TestPlace) => `delta.\`${place.lake}/flow\``;

testWith(missing, "LinkLogStore.write() and commitVersion() race for 300 versions: each has one writer, who was told so", async () => {
  const directory = await Deno.makeTempDir(), versions = 300;
  await Deno.mkdir(`${directory}/_delta_log`);
  await using spark = await Spark.start(STORE);
  const theirs = spark.race(STORE, `${directory}/_delta_log`, versions), ours: number[] = [];
  // From the other end: they meet, and then each tries what the other has.
  for (let version = versions - 1; version >= 0; version--) {
    if (await commitVersion(directory, BigInt(version), [{ commitInfo: { engineInfo: "Skyfall" } }])) ours.push(version);
  }
  const won = await theirs;
  assert.ok(won.length > 0 && ours.length > 0, `${won.length} and ${ours.length}`);
  assert.deepEqual([...won, ...ours].sort((a, b) => a - b), Array.from({ length: versions }, (_, i) => i));
  for (const [engine, numbers] of [["Spark", won], ["Skyfall", ours]] as const) {
    for (const number of numbers) {
      const text = await Deno.readTextFile(`${directory}/_delta_log/${String(number).padStart(20, "0")}.json`);
      assert.equal(JSON.parse(text).commitInfo.engineInfo, engine);
    }
  }
  assert.deepEqual((await Array.fromAsync(Deno.readDir(`${directory}/_delta_log`))).length, versions);
});

testWith(missing, "Spark appends, optimizes and vacuums while the ETL job commits: every row is there once", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 2, 1);
  await runEtl(place.topic, place.lake);
  await using spark = await Spark.start(STORE);
  const appends = 8;
  let done = false, commits = 1, messages = 2;
  const appending = (async () => {
    for (let i = 0; i < appends; i++) {
      await spark.sql(insert(tableOf(place), i));
      if (i % 4 === 2) await spark.sql(`optimize ${tableOf(place)}`);
      if (i % 4 === 3) await spark.sql(`vacuum ${tableOf(place)}`);
      assert.equal((await counts(place.lake))["spark"], i + 1);
    }
    done = true;
  })();
  while (!done) {
    await publishFlows(place.topic, 2, 1_000 * commits++);
    messages += 2;
    assert.equal((await runEtl(place.topic, place.lake)).commits, 1);
  }
  await appending;
  const rows = messages * MESSAGE_ROWS, counted = await counts(place.lake);
  assert.deepEqual([counted["etl"], counted["places"], counted["spark"]], [rows, rows, appends]);
  const [theirs] = await spark.sql(`select count(*) as rows, sum(bytes_sent) as bytes from ${tableOf(place)}`);
  assert.deepEqual([theirs!["rows"], Number(theirs!["bytes"])], [rows + appends, counted["bytes"]]);
});

testWith(missing, "what Delta Lake's own log store overwrites of the ETL job's commits comes back, once", async () => {
  const place = await newPlace(), table = `${place.lake}/flow`;
  await publishFlows(place.topic, 2, 1);
  await runEtl(place.topic, place.lake);
  await using spark = await Spark.start("default");
  let messages = 2, putBacks = 0;
  // It writes the next version as often as it can: whatever of ours comes between its look and its renaming is gone.
  for (let versions = 0; putBacks === 0;) {
    versions += 1_000;
    const overwriting = spark.race("io.delta.storage.LocalLogStore", `${table}/_delta_log`, versions);
    let isRunning = true;
    const ended = overwriting.finally(() => isRunning = false);
    while (isRunning) {
      await publishFlows(place.topic, 2, messages);
      messages += 2;
      await runEtl(place.topic, place.lake);
    }
    await ended;
    await runEtl(place.topic, place.lake);
    putBacks = await countPutBacks(`${table}/_delta_log`);
  }
  const rows = messages * MESSAGE_ROWS, counted = await counts(place.lake);
  assert.deepEqual([counted["etl"], counted["places"]], [rows, rows]);
});

async function countPutBacks(log: string): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir(log)) {
    if (/^\d{20}\.json$/.test(name) && (await Deno.readTextFile(`${log}/${name}`)).includes('"putBack"')) count++;
  }
  return count;
}
