/** Conversations that compaction keeps give the answers that flows give, also when flows come late. */

import assert from "node:assert/strict";
import { makeTopology } from "../bench/topology.ts";
import { analyse, ANALYSES } from "../jobs/analytics.ts";
import { runCompact } from "../jobs/compact.ts";
import { append } from "../jobs/lake/append.ts";
import { readTable, tableDirectory } from "../jobs/lake/table.ts";
import { CONVERSATION_1M, FLOW } from "../jobs/lake/tables.ts";
import type { Answer } from "../jobs/portable_sql.ts";
import { formatAnswer } from "../jobs/print.ts";
import { keptIn, withLake } from "../jobs/query.ts";
import { EVERYTHING, type Question } from "../jobs/question.ts";
import { goldenBase, goldenDatabase, goldenLake, goldenQuestion } from "../jobs/testdata/golden.ts";

const dependencyGraph = ANALYSES.find(({ name }) => name === "dependency-graph")!;

/** The answer from what is kept, and how many hours that is. */
async function keptAnswer(lake: string, analysis: typeof dependencyGraph, question: Question): Promise<{ answer: Answer; hours: number }> {
  return await withLake(lake, async (database, _snapshot, snapshots) => {
    const kept = keptIn(snapshots);
    return { answer: await analyse(database, analysis, question, kept), hours: kept.length };
  });
}

for (const analysis of ANALYSES) {
  Deno.test(`${analysis.name} gives its golden answer of conversations that are kept`, async () => {
    const base = goldenBase(analysis.name), lake = await goldenLake(`${base}_input.csv`);
    const { conversationHours } = (await runCompact(lake, new Map()))!;
    const { answer, hours } = await keptAnswer(lake, analysis, goldenQuestion(analysis.name));
    assert.ok(hours > 0 && hours === conversationHours);
    assert.equal(formatAnswer(answer, "csv", 0).replaceAll("\r\n", "\n") + "\n", await Deno.readTextFile(`${base}.csv`));
  });
}

interface Found {
  readonly flows: Answer;
  readonly kept: Answer;
}

async function topologyGraphs(seed: number): Promise<Found & { readonly edges: ReturnType<typeof makeTopology>["edges"] }> {
  const { csv, edges } = makeTopology(seed), file = await Deno.makeTempFile({ suffix: ".csv" });
  await Deno.writeTextFile(file, csv);
  using database = await goldenDatabase(file);
  const lake = await goldenLake(file);
  await runCompact(lake, new Map());
  const flows = await analyse(database, dependencyGraph);
  return { edges, flows, kept: (await keptAnswer(lake, dependencyGraph, EVERYTHING)).answer };
}

Deno.test("the graph of a fleet whose edges are known has each of them, with its amounts, and no other: of flows and of what is kept", async () => {
  const { edges, flows, kept } = await topologyGraphs(7);
  const text = (values: readonly unknown[]) => values.map(String).join(" ");
  const found = flows.rows.map((row) =>
    text([row["client_service"], row["server_service"], row["server_port"], row["connections"], row["tx_bytes"], row["rx_bytes"]])
  );
  const known = edges.map(({ client, server, port, connections, txBytes, rxBytes }) =>
    text([client, server, port, connections, txBytes, rxBytes])
  );
  assert.ok(known.some((edge) => edge.includes("unmanaged")) && known.some((edge) => edge.includes("-next")));
  assert.deepEqual(found.sort(), known.sort());
  assert.deepEqual(kept, flows);
});

Deno.test("an hour that flows came to is asked again, until it is compacted", async () => {
  const lake = await goldenLake(`${goldenBase("dependency-graph")}_input.csv`), directory = tableDirectory(lake, FLOW);
  await runCompact(lake, new Map());
  const before = await keptAnswer(lake, dependencyGraph, EVERYTHING);
  const late = await goldenLake(`${goldenBase("hubs")}_input.csv`), other = tableDirectory(late, FLOW);
  await withLake(late, async (database, snapshot) => {
    const adds = [...snapshot.files.values()].map((add) => ({ ...add, path: add.path.replace("golden", "late") }));
    for (const { path } of adds) {
      await Deno.mkdir(`${directory}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.copyFile(`${other}/${path.replace("late", "golden")}`, `${directory}/${path}`);
    }
    const flow = await readTable(directory, FLOW, database);
    await append(directory, FLOW, flow, { operation: "WRITE", parameters: {}, adds, transactions: new Map() }, database);
  });
  const flows = await withLake(lake, (database) => analyse(database, dependencyGraph));
  const asked = await keptAnswer(lake, dependencyGraph, EVERYTHING);
  assert.ok(asked.hours < before.hours);
  assert.notDeepEqual(flows, before.answer);
  assert.deepEqual(asked.answer, flows);
  await runCompact(lake, new Map());
  const again = await keptAnswer(lake, dependencyGraph, EVERYTHING);
  assert.ok(again.hours >= before.hours);
  assert.deepEqual(again.answer, flows);
});

Deno.test("conversations of hours whose flows are no longer kept go with them", async () => {
  const lake = await goldenLake(`${goldenBase("zone-crossings")}_input.csv`);
  const hours = async () =>
    await withLake(
      lake,
      async (database) => (await readTable(tableDirectory(lake, CONVERSATION_1M), CONVERSATION_1M, database)).files.size,
    );
  await runCompact(lake, new Map());
  const before = await hours();
  const { dropped } = (await runCompact(lake, new Map([["flow", 1]])))!;
  assert.ok(dropped > 0);
  assert.equal(await hours(), before - dropped);
});
