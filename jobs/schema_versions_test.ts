/** Topics and lakes that each schema version made go on: `testdata/version_N/` holds one of each, with 6 rows in either partition. */

import assert from "node:assert/strict";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import { openProducer } from "../lib/topic/open.ts";
import { analyse, ANALYSES } from "./analytics.ts";
import { runEtl } from "./etl.ts";
import { withLake } from "./query.ts";
import { goldenQuestion } from "./testdata/golden.ts";
import { ask, type TestPlace, version1Place, versionPlace } from "./testdata/topic.ts";
import { hasFixture } from "./testdata/version_fixture.ts";

const OLD_SQL = `select observer_role, count(*)::integer as rows, sum(bytes_sent)::bigint as bytes, sum(len(client_ports))::integer as ports
  from flow where schema_version = 1 group by all order by all`;

/** No two rows of that lake are of one conversation. */
const OLD_EDGES_SQL = `select count(distinct (client_ip, server_ip, server_port))::integer as edges,
  sum(bytes_sent + bytes_received)::double as bytes from flow`;

async function publish(place: TestPlace, rows: number): Promise<void> {
  await using producer = await openProducer(place.topic);
  await producer.publish([{ partition: 0, value: encodeFlowBatch(flowBatch(rows, 9)) }]);
}

async function lastMetaData(place: TestPlace, version: number): Promise<Record<string, unknown>> {
  const text = await Deno.readTextFile(`${place.lake}/flow/_delta_log/${String(version).padStart(20, "0")}.json`);
  const actions: Record<string, Record<string, unknown>>[] = text.trim().split("\n").map((line) => JSON.parse(line));
  return actions.find(({ metaData }) => metaData !== undefined)!["metaData"]!;
}

Deno.test("a lake of version 1 answers questions for the columns that it lacks with null", async () => {
  const place = await version1Place();
  assert.deepEqual(
    await ask(place.lake, "select count(*)::integer as rows, count(reporter)::integer as known, max(fold_level) as fold from flow"),
    [
      { rows: 12, known: 0, fold: null },
    ],
  );
});

Deno.test("the dependency graph of a lake of version 1 has what its rows tell, and no estimate of the same conversations", async () => {
  const place = await version1Place();
  const graph = ANALYSES.find(({ name }) => name === "dependency-graph")!;
  const { rows } = await withLake(place.lake, async (database) => {
    await database.run(`alter view flow rename to counted; create view flow as from counted union all
      select * replace ('sflow' as flow_source, 2 * bytes_sent as bytes_sent) from counted`);
    return await analyse(database, graph);
  });
  const bytes = rows.reduce((sum, row) => sum + Number(row["tx_bytes"]) + Number(row["rx_bytes"]), 0);
  assert.deepEqual([{ edges: rows.length, bytes }], await ask(place.lake, OLD_EDGES_SQL));
});

Deno.test("runEtl() goes on in a lake of version 1: its next commit adds the columns, and older SQL answers the same", async () => {
  const place = await version1Place();
  const before = await ask(place.lake, OLD_SQL), made = await lastMetaData(place, 0);
  await publish(place, 7);
  assert.deepEqual(await runEtl(place.topic, place.lake), { rows: 7, commits: 1, deadLetters: 0, version: 1n });
  assert.deepEqual(await ask(place.lake, OLD_SQL), before);
  assert.deepEqual(
    await ask(
      place.lake,
      "select schema_version, count(*)::integer as rows, count(reporter)::integer as known from flow group by all order by all",
    ),
    [
      { schema_version: 1, rows: 12, known: 0 },
      { schema_version: 2, rows: 7, known: 7 },
    ],
  );
  const metaData = await lastMetaData(place, 1);
  const names = (of: Record<string, unknown>) => JSON.parse(String(of["schemaString"])).fields.map(({ name }: { name: string }) => name);
  assert.equal(metaData["id"], made["id"]);
  assert.deepEqual(names(metaData).slice(names(made).length), [
    "flow_source",
    "sampling_rate",
    "reporter",
    "peer_bytes_sent",
    "peer_bytes_received",
    "fold_level",
    "late_count",
  ]);
});

Deno.test("runEtl() takes messages of version 1 into a new lake", async () => {
  const place = await version1Place();
  await Deno.remove(place.lake, { recursive: true });
  assert.equal((await runEtl(place.topic, place.lake)).rows, 12);
  assert.deepEqual(
    await ask(
      place.lake,
      "select distinct schema_version, flow_source, sampling_rate, reporter = observer_role as own, late_count::integer as late from flow",
    ),
    [{ schema_version: 1, flow_source: "skyfall", sampling_rate: 1, own: true, late: 0 }],
  );
});

Deno.test("a lake of a newer version is refused, by the ETL job and by questions", async () => {
  const place = await version1Place();
  const path = `${place.lake}/flow/_delta_log/${"0".repeat(20)}.json`;
  await Deno.writeTextFile(
    path,
    (await Deno.readTextFile(path)).replace('"configuration":{}', '"configuration":{"skyfall.schemaVersion":"3"}'),
  );
  const refusal = { name: "LakeError", message: /its rows are of schema version 3, this version has 2; use a newer Skyfall/ };
  await assert.rejects(runEtl(place.topic, place.lake), refusal);
  await assert.rejects(ask(place.lake, "from flow"), refusal);
});

for (let version = 1; version <= FLOW_SCHEMA_VERSION; version++) {
  Deno.test(`schema version ${version} has a topic and a lake that it made; deno task gen makes those of a new one`, async () => {
    assert.equal(await hasFixture(version), true);
  });

  for (const analysis of ANALYSES) {
    Deno.test(`${analysis.name} answers on the lake of version ${version} as on a new lake of its topic`, async () => {
      const place = await versionPlace(version);
      await runEtl(place.topic, `${place.directory}/new`);
      const [times] = await ask(place.lake, "select epoch_ms(min(window_start)) as first, epoch_ms(max(window_start)) as last from flow");
      const fromMs = Number(times!["first"]), toMs = Number(times!["last"]);
      const [edge] = await ask(place.lake, "select client_service_name as service from flow where client_service_name is not null limit 1");
      const period = analysis.parameters.includes("span") ? { fromMs, toMs, spanMs: Math.max(1, Math.floor((toMs - fromMs) / 2)) } : {};
      const question = { ...goldenQuestion(analysis.name), fromMs: null, toMs: null, ...period, service: String(edge!["service"]) };
      const answer = (lake: string) => withLake(lake, (database) => analyse(database, analysis, question));
      const old = await answer(place.lake), now = await answer(`${place.directory}/new`);
      // So few flows cross no zone and fail no link.
      assert.ok(old.rows.length > 0 || analysis.name !== "dependency-graph");
      assert.deepEqual(old, now);
    });
  }
}
