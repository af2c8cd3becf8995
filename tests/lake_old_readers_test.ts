/** Whoever reads an old version for long gets the same rows until it ends, while the lake grows, is compacted and vacuumed. */

import assert from "node:assert/strict";
import { TextLineStream } from "../chain/text_line_stream.ts";
import { runCompact } from "../jobs/compact.ts";
import { runEtl } from "../jobs/etl.ts";
import { listLog } from "../jobs/lake/delta_log.ts";
import { tableDirectory } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { parseAsOf } from "../jobs/lake/time_travel.ts";
import { withLake } from "../jobs/query.ts";
import { newPlace, publishFlows, type TestPlace } from "../jobs/testdata/topic.ts";
import { runVacuum } from "../jobs/vacuum.ts";
import { python } from "../tools/cache.ts";
import { missingCommand, testWith } from "./require.ts";
import { missingSpark, Spark } from "./spark/session.ts";

const SQL = "select count(*)::integer as rows, sum(bytes_sent)::varchar as bytes from flow";
const ROUNDS = 3;
/** So many times Spark counts each row, that others have time to change the lake. */
const TIMES = 2_000;

async function grow({ topic, lake }: TestPlace, round: number): Promise<void> {
  await publishFlows(topic, 6, 100 * round);
  await runEtl(topic.replace(/\?.*/, ""), lake);
}

/** A lake of some small files, the version it then has, and what that holds. */
async function newLake() {
  const place = await newPlace(), table = tableDirectory(place.lake, FLOW);
  for (let i = 0; i < 3; i++) await grow(place, i);
  const version = listLog(table).versions.at(-1)!;
  const [held] = await withLake(place.lake, (database) => database.rows(SQL));
  return { place, table, version, held: held! };
}

/** Every file of the old version ends its part in the newest one. */
async function change(place: TestPlace, round: number, retainMs: number | null): Promise<void> {
  await grow(place, 10 + round);
  await runCompact(place.lake, new Map());
  await runVacuum(place.lake, { retainMs, isDryRun: false });
}

async function deadFiles({ lake }: TestPlace): Promise<number> {
  return (await runVacuum(lake, { retainMs: 0, isDryRun: true }))!.length;
}

Deno.test("our own reader of an old version keeps its files and its answer, though the vacuum retains nothing, and then they go", async () => {
  const { place, version, held } = await newLake();
  await withLake(place.lake, async (database) => {
    for (let round = 0; round < ROUNDS; round++) {
      await change(place, round, 0);
      assert.deepEqual(await database.rows(SQL), [held]);
    }
  }, parseAsOf(String(version)));
  assert.ok(await deadFiles(place) > 0);
});

testWith(
  await missingCommand("python3", "--version"),
  "delta-rs that holds an old version reads the same while the vacuum retains it",
  async () => {
    const { place, table, version, held } = await newLake();
    const script = new URL("lake_readers/delta_rs_held.py", import.meta.url).pathname;
    const child = new Deno.Command(await python(), { args: [script, table, String(version)], stdin: "piped", stdout: "piped" }).spawn();
    const answers = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
    const requests = child.stdin.getWriter();
    for (let round = 0; round < ROUNDS; round++) {
      await requests.write(new TextEncoder().encode("\n"));
      assert.deepEqual(JSON.parse((await answers.read()).value!), held);
      await change(place, round, null);
    }
    assert.ok(await deadFiles(place) > 0, "what it reads is not part of the newest version");
    await requests.close();
    await child.status;
    await answers.cancel();
  },
);

testWith(await missingSpark(), "a long query of Spark on an old version finds the same while the vacuum retains it", async () => {
  const { place, table, version, held } = await newLake();
  await using spark = await Spark.start("skyfall.delta.LinkLogStore");
  const long = (of: bigint) =>
    spark.sql(
      `select cast(count(*) / ${TIMES} as int) as rows, cast(cast(sum(cast(bytes_sent as decimal(38, 0))) / ${TIMES} as decimal(38, 0)) as string) as bytes
      from delta.\`${table}\` version as of ${of} cross join range(${TIMES})`,
    );
  const answered = long(version);
  for (let round = 0; round < ROUNDS; round++) await change(place, round, null);
  assert.deepEqual(await answered, [held]);
  assert.ok(await deadFiles(place) > 0, "what it reads is not part of the newest version");
  assert.deepEqual(await long(version), [held]);
});
