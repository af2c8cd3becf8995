/** Other programs read every version of a lake, over appends, a compaction and a checkpoint, and find what our own SQL finds. */

import assert from "node:assert/strict";
import { runCompact } from "../jobs/compact.ts";
import { Database } from "../jobs/duckdb.ts";
import { runEtl } from "../jobs/etl.ts";
import { writeCheckpoint } from "../jobs/lake/checkpoint.ts";
import { readTable } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { parseAsOf } from "../jobs/lake/time_travel.ts";
import { withLake } from "../jobs/query.ts";
import { sqlText } from "../jobs/sql_text.ts";
import { publishFlows, type TestPlace, version1Place } from "../jobs/testdata/topic.ts";
import { BATCH_ROWS_MAX, encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { deltaExtension, python } from "../tools/cache.ts";
import { missingCommand, testWith } from "./require.ts";
import { missingSpark, Spark } from "./spark/session.ts";

type Totals = Readonly<Record<string, unknown>>;

const OWN = `select count(*)::integer as rows, sum(bytes_sent)::double as bytes_sent, sum(bytes_received)::double as bytes_received,
  sum(len(client_ports))::double as client_ports, (count(*) - count(srtt_us_min))::integer as srtt_us_min_nulls,
  (count(*) - count(reporter))::integer as reporter_nulls, sum(epoch_us(window_start) % 1000003)::double as window_start_us,
  count(distinct client_service_name)::integer as client_services, list_sort(list(distinct concat(date, ' ', hour))) as hours from flow`;

const SPARK = (reporter: string, from: string) =>
  `select count(*) as rows, sum(bytes_sent) as bytes_sent, sum(bytes_received) as bytes_received,
  sum(size(client_ports)) as client_ports, count(*) - count(srtt_us_min) as srtt_us_min_nulls,
  count(*) - count(${reporter}) as reporter_nulls, sum(unix_micros(window_start) % 1000003) as window_start_us,
  count(distinct client_service_name) as client_services, array_sort(collect_set(concat(date, ' ', hour))) as hours from ${from}`;

/** So many rows that a column of random numbers has no dictionary. */
const MANY_MESSAGES = 3;

async function publishMany(topic: string): Promise<void> {
  await using producer = await openProducer(topic);
  for (let i = 0; i < MANY_MESSAGES; i++) {
    await producer.publish([{ partition: 0, value: encodeFlowBatch(flowBatch(BATCH_ROWS_MAX, 5_000 + i)) }]);
  }
}

/** A lake that version 1 began, and what our own SQL says about each version of its table. */
async function newLake(): Promise<{ readonly place: TestPlace; readonly table: string; readonly own: readonly Totals[] }> {
  const place = await version1Place(), table = `${place.lake}/flow`;
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, 12, 1_000 * i);
    await runEtl(place.topic, place.lake);
  }
  const compacted = await runCompact(place.lake, new Map());
  assert.ok(compacted !== null && compacted.filesAfter < compacted.filesBefore);
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: place.directory });
  await writeCheckpoint(table, await readTable(table, FLOW, database), database);
  await publishFlows(place.topic, 12, 9_000);
  await publishMany(place.topic);
  await runEtl(place.topic, place.lake);
  const { version } = await readTable(table, FLOW, database), own: Totals[] = [];
  for (let next = 0n; next <= version; next++) {
    own.push((await withLake(place.lake, (lake) => lake.rows(OWN), parseAsOf(String(next))))[0]!);
  }
  assert.ok(version > 5n, "a version of each kind");
  assert.deepEqual([own[0]!["rows"], own.at(-1)!["rows"]], [12, 12 + 4 * 12 * 50 + MANY_MESSAGES * BATCH_ROWS_MAX]);
  return { place, table, own };
}

testWith(
  await missingCommand("python3", "--version"),
  "delta-rs reads the same rows, sums and offsets as our SQL, at every version",
  async () => {
    const { place, table, own } = await newLake();
    await using consumer = await openConsumer(place.topic);
    const applications = [0, 1].map((partition) => `skyfall-etl:${consumer.topicName}:${partition}`);
    const script = new URL("lake_readers/delta_rs.py", import.meta.url).pathname;
    const command = new Deno.Command(await python(), { args: [script, table, ...applications], stdout: "piped", stderr: "piped" });
    const { success, stdout, stderr } = await command.output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), { versions: own, next_offsets: [25 + MANY_MESSAGES, 25] });
  },
);

testWith(
  await missingCommand("python3", "--version"),
  "DuckDB's own Delta reader finds the same rows and sums at every version",
  async () => {
    const { place, table, own } = await newLake();
    using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: place.directory });
    await database.run(`load ${sqlText(await deltaExtension())}`);
    for (const [version, expected] of own.entries()) {
      const columns = version === 0 ? "*, null as reporter" : "*";
      await database.run(`create or replace view flow as select ${columns} from delta_scan(${sqlText(table)}, version => ${version})`);
      assert.deepEqual(await database.rows(OWN), [expected], `version ${version}`);
    }
  },
);

testWith(await missingSpark(), "Spark reads the same rows and sums as our SQL, at every version", async () => {
  const { table, own } = await newLake();
  await using spark = await Spark.start("skyfall.delta.LinkLogStore");
  for (const [version, expected] of own.entries()) {
    const [row] = await spark.sql(SPARK(version === 0 ? "null" : "reporter", `delta.\`${table}\` version as of ${version}`));
    assert.deepEqual(row, expected, `version ${version}`);
  }
});
