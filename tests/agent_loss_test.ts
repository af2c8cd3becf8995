/** A datagram that an agent sent and no collector got: from the wire to the audit and to what every answer says of itself. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { auditLake } from "../jobs/audit/audit.ts";
import { coverage } from "../jobs/coverage.ts";
import { runEtl } from "../jobs/etl.ts";
import { withLake } from "../jobs/query.ts";
import { laneSubAgent } from "../lib/lanes.ts";
import { replay } from "./captured.ts";
import { RunningTask } from "./command.ts";

const DATAGRAMS = 40, FLOWS = 5, LANES = 2;

/** What two agents send by two lanes each, in their order: agent and lane take turns. */
function agentDatagrams(startSequence: number, uptimeMs: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: DATAGRAMS }, (_, i) => {
    const agent = i % 2, lane = (i >> 1) % LANES, sequence = startSequence + (i >> 2);
    const flows = Array.from(
      { length: FLOWS },
      (_, flow) => skyfallRecord("skyfall_flow", { ...FLOW, flow_id: i * FLOWS + flow + 1, local_port: 40_000 + i * FLOWS + flow }),
    );
    const sample = flowSample([HOST, PROCESS, ...flows], { sequence, pool: sequence * FLOWS });
    return datagram([sample], {
      agent: Uint8Array.of(10, 0, 0, 1 + agent),
      subAgent: laneSubAgent(lane, LANES),
      sequence,
      uptimeMs: uptimeMs + i,
    });
  });
}

/** A collector's life: it gets these datagrams, and stops. */
async function collect(topic: string, datagrams: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--workers", "2", "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await replay(datagrams, port);
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
}

/** What the audit tells, and the end of the coverage line. */
async function land(topic: string, lake: string): Promise<{ readonly told: string[]; readonly covered: string }> {
  await runEtl(topic, lake);
  const checks = await auditLake(lake, topic, () => {});
  assert.deepEqual(checks.flatMap(({ problems }) => problems), []);
  return {
    told: checks.flatMap(({ told = [] }) => told).map((line) => line.split(" between ")[0]!),
    covered: (await withLake(lake, coverage)).split("no gaps, ")[1]!,
  };
}

Deno.test("a datagram that is left out is a hole: the audit names the agent and how much, and coverage tells it", async () => {
  const folder = await Deno.makeTempDir(), topic = `sqlite:${folder}/topic.db`;
  const left = new Set([20, 24, 25]); // two of the first agent's, one of the second's
  await collect(topic, agentDatagrams(1, 1_000).filter((_, i) => !left.has(i)));
  assert.deepEqual(await land(topic, `${folder}/lake`), {
    told: ["agent 10.0.0.1 lost 2 datagrams and 10 flow records", "agent 10.0.0.2 lost 1 datagram and 5 flow records"],
    covered: "2 agents lost 3 datagrams and 15 flow records",
  });
});

Deno.test("where every datagram comes there is no hole, whether the collector or the agents start anew", async () => {
  const folder = await Deno.makeTempDir(), topic = `sqlite:${folder}/topic.db`;
  await collect(topic, agentDatagrams(1, 1_000));
  await collect(topic, [...agentDatagrams(11, 2_000), ...agentDatagrams(1, 0)]);
  assert.deepEqual(await land(topic, `${folder}/lake`), { told: [], covered: "no loss told" });
});
