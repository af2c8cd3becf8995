/** Losses that collectors tell are in the lake once, whatever befalls the job, and every answer and the audit say them. */

import assert from "node:assert/strict";
import type { AgentLoss } from "../lib/agent_loss.ts";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { agentLoss } from "../lib/testdata/agent_loss.ts";
import { flowBatch, START_US } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { auditLake } from "./audit/audit.ts";
import { runCompact } from "./compact.ts";
import { coverage } from "./coverage.ts";
import { runEtl } from "./etl.ts";
import { withLake } from "./query.ts";
import { ask, newPlace, type TestPlace } from "./testdata/topic.ts";

const DAY_US = 86_400_000_000;

async function place(): Promise<TestPlace> {
  const made = await newPlace();
  return { ...made, topic: made.topic.replace(/\?.*/, "") };
}

/** Publishes a message of two rows for each of these, which tells them, each a minute after the one before. */
async function publish({ topic }: TestPlace, told: readonly (readonly AgentLoss[])[], startUs = START_US): Promise<void> {
  await using producer = await openProducer(`${topic}?partitions=2`);
  for (const [i, agentLosses] of told.entries()) {
    await producer.publish([{ partition: i % 2, value: encodeFlowBatch({ ...flowBatch(2, i, startUs + i * 60_000_000), agentLosses }) }]);
  }
}

async function audited({ lake, topic }: TestPlace): Promise<{ readonly told: string[]; readonly wrong: string[] }> {
  const checks = await auditLake(lake, topic, () => {});
  return {
    told: checks.flatMap(({ told = [] }) => told),
    wrong: checks.flatMap(({ problems }) => problems.map(({ where, what }) => `${where}: ${what}`)),
  };
}

async function lossPart({ lake }: TestPlace): Promise<string> {
  return /no gaps, (.*)$/.exec(await withLake(lake, coverage))![1]!;
}

Deno.test("the audit names agents with holes, those that lost most first, and coverage adds them up", async () => {
  const lake = await place();
  const worse = agentLoss("10.0.0.2", { datagrams_lost: 100, flow_records_missing: 0, agent_dropped_events: 3 });
  await publish(lake, [[agentLoss("10.0.0.1"), worse], [], [agentLoss("10.0.0.1", { loss_end: START_US + DAY_US })]]);
  await runEtl(lake.topic, lake.lake);
  assert.deepEqual(await audited(lake), {
    told: [
      "agent 10.0.0.2 lost 100 datagrams, and dropped 3 events between 2026-01-02 03:04:05 and 2026-01-02 03:04:15 UTC",
      "agent 10.0.0.1 lost 2 datagrams and 14 flow records between 2026-01-02 03:04:05 and 2026-01-03 03:04:05 UTC",
    ],
    wrong: [],
  });
  assert.equal(await lossPart(lake), "2 agents lost 102 datagrams and 14 flow records, and dropped 3 events");
});

Deno.test("without a loss nothing is told, nor of one that came late after all", async () => {
  const lake = await place();
  await publish(lake, [[], [agentLoss("10.0.0.1")], [agentLoss("10.0.0.1", { datagrams_lost: -1, flow_records_missing: -7 })]]);
  await runEtl(lake.topic, lake.lake);
  assert.deepEqual(await audited(lake), { told: [], wrong: [] });
  assert.equal(await lossPart(lake), "no loss told");
});

Deno.test("agents that are not named, and sub-agents of others, are said as such", async () => {
  const lake = await place();
  await publish(lake, [[agentLoss(null, { agent_count: 40, datagrams_lost: 50 }), agentLoss("10.0.0.9", { sub_agent_id: 4_000_000_000 })]]);
  await runEtl(lake.topic, lake.lake);
  assert.deepEqual((await audited(lake)).told.map((line) => line.split(" lost")[0]), [
    "agents that are not named",
    "agent 10.0.0.9, sub-agent 4000000000,",
  ]);
  assert.equal(await lossPart(lake), "41 agents lost 51 datagrams and 14 flow records");
});

Deno.test("a crash after losses were kept and before their rows were doubles neither", async () => {
  const lake = await place();
  await publish(lake, [[agentLoss("10.0.0.1")], [agentLoss("10.0.0.2")], [agentLoss("10.0.0.3")]]);
  await runEtl(lake.topic, lake.lake);
  // As if the job had been killed between the two commits, and its files' names had not been noted.
  for (const path of ["flow/_delta_log/00000000000000000000.json"]) await Deno.remove(`${lake.lake}/${path}`);
  await Deno.remove(`${lake.lake}/_journal`, { recursive: true }).catch(() => {});
  await publish(lake, [[agentLoss("10.0.0.4")]]);
  await runEtl(lake.topic, lake.lake);
  assert.deepEqual(
    await ask(lake.lake, "select count(*)::integer as told, count(distinct agent_address)::integer as agents from agent_loss"),
    [
      { told: 4, agents: 4 },
    ],
  );
  assert.deepEqual((await audited(lake)).wrong, []);
});

Deno.test("the audit finds losses that the lake has twice, or otherwise than the topic", async () => {
  const lake = await place();
  await publish(lake, [[agentLoss("10.0.0.1")], [agentLoss("10.0.0.2")]]);
  await runEtl(lake.topic, lake.lake);
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(`${lake.directory}/topic.db`);
  const change = database.prepare("update message set value = ? where partition = 1");
  for (
    const [agentLosses, found] of [[[], "tells 0 losses, and the lake has 1"], [
      [agentLoss("10.0.0.2", { datagrams_lost: 2 })],
      "with other amounts",
    ]] as const
  ) {
    change.run(encodeFlowBatch({ ...flowBatch(2, 1, START_US + 60_000_000), agentLosses }));
    const wrong = (await audited(lake)).wrong.filter((problem) => !problem.includes("is another message"));
    assert.deepEqual(
      [wrong.length, wrong[0]!.includes("partition 1 offset 0"), wrong[0]!.includes(found)],
      [1, true, true],
      wrong.join("\n"),
    );
  }
  database.close();
});

Deno.test("losses are kept as long as rows of flow are, and the audit misses none of what was dropped", async () => {
  const lake = await place();
  await publish(lake, [[agentLoss("10.0.0.1")]]);
  await publish(lake, [[agentLoss("10.0.0.2", { loss_end: START_US + 3 * DAY_US })], []], START_US + 3 * DAY_US);
  await runEtl(lake.topic, lake.lake);
  await publish(lake, [[]], START_US + 6 * DAY_US);
  await runEtl(lake.topic, lake.lake);
  await runCompact(lake.lake, new Map([["flow", 4]]));
  assert.deepEqual(await ask(lake.lake, "select agent_address from agent_loss"), [{ agent_address: "10.0.0.2" }]);
  assert.deepEqual((await audited(lake)).wrong, []);
});
