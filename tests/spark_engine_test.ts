/** Spark answers as DuckDB does: every analysis, over its golden case and over a lake with every kind of value. */

import assert from "node:assert/strict";
import { analyse, ANALYSES } from "../jobs/analytics.ts";
import { runCompact } from "../jobs/compact.ts";
import { Spark } from "../jobs/engines/spark.ts";
import { runEtl } from "../jobs/etl.ts";
import { FLOW, TABLES } from "../jobs/lake/tables.ts";
import type { Hour } from "../jobs/lake/kept_hours.ts";
import type { Answer, Engine } from "../jobs/portable_sql.ts";
import { formatAnswer } from "../jobs/print.ts";
import { keptIn, withLake } from "../jobs/query.ts";
import type { Question } from "../jobs/question.ts";
import { goldenBase, goldenLake, goldenQuestion } from "../jobs/testdata/golden.ts";
import { publishFlows, version1Place } from "../jobs/testdata/topic.ts";
import { runTask } from "./command.ts";
import { testWith } from "./require.ts";
import { configureSpark, missingSpark } from "./spark/session.ts";

const missing = await missingSpark();

/** What both engines answer about a lake, as JSON. */
async function bothAnswers(
  spark: Spark,
  lake: string,
  ask: (engine: Engine, kept: readonly Hour[]) => Promise<Answer>,
): Promise<[duckdb: string, spark: string]> {
  return await withLake(lake, async (database, _snapshot, snapshots) => {
    await spark.openLake(lake, TABLES.map((definition) => ({ definition, snapshot: snapshots.get(definition.name)! })));
    const json = async (engine: Engine) => formatAnswer(await ask(engine, keptIn(snapshots)), "json", 0);
    return [await json(database), await json(spark)];
  });
}

testWith(missing, "every analysis gives the same answer on Spark as on DuckDB", async (t) => {
  await configureSpark();
  await using spark = await Spark.start();
  for (const analysis of ANALYSES) {
    await t.step(`${analysis.name}, golden case`, async () => {
      const lake = await goldenLake(`${goldenBase(analysis.name)}_input.csv`);
      const [duckdb, answer] = await bothAnswers(spark, lake, (engine) => analyse(engine, analysis, goldenQuestion(analysis.name)));
      assert.equal(answer, duckdb);
      assert.notEqual(answer, "[]");
    });
  }
  for (const analysis of ANALYSES.filter(({ name }) => name === "dependency-graph" || name === "bottlenecks")) {
    await t.step(`${analysis.name}, golden case, of conversations that are kept`, async () => {
      const lake = await goldenLake(`${goldenBase(analysis.name)}_input.csv`);
      await runCompact(lake, new Map());
      const [duckdb, answer] = await bothAnswers(spark, lake, (engine, kept) => {
        assert.ok(kept.length > 0);
        return analyse(engine, analysis, goldenQuestion(analysis.name), kept);
      });
      assert.equal(answer, duckdb);
    });
  }
  const place = await version1Place();
  await publishFlows(place.topic, 12, 1_000);
  await runEtl(place.topic, place.lake);
  for (const analysis of ANALYSES) {
    await t.step(`${analysis.name}, a lake that version 1 began`, async () => {
      const period = analysis.parameters.includes("span") ? {} : { fromMs: null, toMs: null };
      const question: Question = { ...goldenQuestion(analysis.name), ...period, service: "client_service_name 3 ä'\"", depth: 1 };
      const [duckdb, answer] = await bothAnswers(spark, place.lake, (engine) => analyse(engine, analysis, question));
      assert.equal(answer, duckdb);
    });
  }
  await t.step("every column of every kind", async () => {
    const columns = FLOW.columns.map(({ name }) => name === "client_ip" || name === "server_ip" ? `lower(hex(${name})) as ${name}` : name);
    const sql = `select ${columns.join(", ")}, date, hour from flow order by src_partition, src_offset, src_index`;
    const [duckdb, answer] = await bothAnswers(spark, place.lake, (engine) => engine.table(sql));
    assert.deepEqual(JSON.parse(answer), JSON.parse(duckdb));
  });
  await t.step("what Spark refuses is told as a wrong query", async () => {
    await assert.rejects(spark.table("select nothing from flow"), { name: "QueryError", message: /UNRESOLVED_COLUMN/ });
  });
});

testWith(missing, "jobs run dependency-graph --engine spark prints what it prints without", async () => {
  await configureSpark();
  const place = await version1Place();
  const args = ["run", "dependency-graph", "--lake", place.lake, "--format", "csv"];
  const own = await runTask("jobs", args), spark = await runTask("jobs", [...args, "--engine", "spark"]);
  assert.deepEqual([spark.code, spark.stdout], [0, own.stdout], spark.stderr);
  assert.ok(own.stdout.split("\n").length > 2);
});

Deno.test("without Spark, --engine spark tells what it needs", async () => {
  const { lake } = await version1Place();
  const { code, stderr } = await runTask("jobs", ["run", "dependency-graph", "--lake", lake, "--engine", "spark"], [
    "env",
    "SPARK_HOME=/nowhere",
  ]);
  assert.deepEqual([code, /Cannot ask Spark: .*needed a python3 with PySpark 4 on the path/.test(stderr)], [1, true], stderr);
});
