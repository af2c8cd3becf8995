/** What is told of losses adds up to what was lost, whatever came late, restarted or had to go. */

import assert from "node:assert/strict";
import { laneSubAgent } from "../lib/lanes.ts";
import { LossTeller } from "./loss_teller.ts";
import { StreamTable } from "./streams.ts";

const SECOND_MS = 1_000, LOOK_MS = 10_000, START_MS = 1_700_000_000_000;

/** Streams to which datagrams of 10.0.0.N come, and what tells of them. */
function tellerOf(streamsMax = 1_024) {
  const streams = new StreamTable(streamsMax), teller = new LossTeller(streams, START_MS);
  const arrive = (agent: number, sequence: number, { subAgent = 1, uptimeMs = 1_000_000, pool = 0, records = 0, drops = 0 } = {}) => {
    const stream = streams.find(new DataView(Uint8Array.of(10, 0, agent >> 8, agent).buffer), 0, 4, subAgent);
    stream.arrive(sequence, uptimeMs, streams.nowMs);
    if (pool > 0) stream.arriveSample(pool, records, drops);
  };
  let looks = 0;
  const look = (isLast = false) =>
    teller.take(START_MS + ++looks * LOOK_MS, isLast).map((loss) =>
      [loss.agent_address, loss.datagrams_lost, loss.flow_records_missing, loss.agent_dropped_events] as const
    );
  return { streams, teller, arrive, look };
}

Deno.test("a datagram that never came is told once, when it has been missing for two looks", () => {
  const { arrive, look } = tellerOf();
  for (const sequence of [5, 6, 8, 9]) arrive(1, sequence);
  arrive(2, 1);
  assert.deepEqual(look(), []);
  assert.deepEqual(look(), [["10.0.0.1", 1, 0, 0]]);
  assert.deepEqual(look(), []);
});

Deno.test("the times say when it was lost", () => {
  const { arrive, teller } = tellerOf();
  for (const sequence of [1, 3]) arrive(1, sequence);
  assert.deepEqual(
    [11, 15, 22].map((s) => teller.take(START_MS + s * SECOND_MS).map(({ loss_start, loss_end }) => [loss_start, loss_end])),
    [
      [],
      [],
      [[START_MS * 1_000, (START_MS + 22 * SECOND_MS) * 1_000]],
    ],
  );
});

Deno.test("what comes before the next look is not told, and what comes after it is told as less than none", () => {
  const { arrive, look } = tellerOf();
  for (const sequence of [1, 4]) arrive(1, sequence);
  look();
  arrive(1, 2);
  assert.deepEqual(look(), [["10.0.0.1", 1, 0, 0]]);
  arrive(1, 3);
  assert.deepEqual(look(), [["10.0.0.1", -1, 0, 0]]);
});

Deno.test("of the last messages everything is told", () => {
  const { arrive, look } = tellerOf();
  for (const sequence of [1, 3]) arrive(1, sequence);
  assert.deepEqual(look(true), [["10.0.0.1", 1, 0, 0]]);
});

Deno.test("a restart of the agent, or of the collector, is no hole", () => {
  const { arrive, look } = tellerOf();
  for (const sequence of [700_000, 700_001]) arrive(1, sequence); // a collector that has just begun
  for (const sequence of [1, 2]) arrive(1, sequence, { uptimeMs: 1_000 });
  assert.deepEqual([look(), look(), look(true)], [[], [], []]);
});

Deno.test("the lanes of an agent are one, and the sub-agents of another are not", () => {
  const { arrive, look } = tellerOf();
  for (const sequence of [1, 3]) for (const lane of [0, 1]) arrive(1, sequence, { subAgent: laneSubAgent(lane, 4) });
  for (const sequence of [1, 3]) for (const subAgent of [7, 8]) arrive(2, sequence, { subAgent });
  assert.deepEqual(look(true), [["10.0.0.1", 2, 0, 0], ["10.0.0.2", 1, 0, 0], ["10.0.0.2", 1, 0, 0]]);
});

Deno.test("flow records that are missing are told, and what the agent dropped since the collector heard of it", () => {
  const { arrive, look } = tellerOf();
  arrive(1, 50, { pool: 100, records: 10, drops: 6 });
  arrive(1, 52, { pool: 120, records: 10, drops: 9 });
  arrive(2, 1, { pool: 10, records: 10, drops: 4 }); // its first datagram
  assert.deepEqual(look(true), [["10.0.0.1", 1, 10, 3], ["10.0.0.2", 0, 0, 4]]);
});

Deno.test("those that lost most are named, and the others are counted", () => {
  const { streams, teller, arrive } = tellerOf();
  for (let agent = 1; agent <= 130; agent++) for (const sequence of [1, agent + 2]) arrive(agent, sequence);
  assert.equal(streams.streamCount, 130);
  const losses = teller.take(START_MS, true);
  assert.deepEqual([losses.length, losses[0]!.agent_address, losses[0]!.datagrams_lost], [129, "10.0.0.130", 130]);
  const { agent_address, agent_count, datagrams_lost } = losses.at(-1)!;
  assert.deepEqual([agent_address, agent_count, datagrams_lost], [null, 2, 1 + 2]);
});

Deno.test("what was lost of streams that had to go is told all the same, and once", () => {
  const { streams, arrive, look } = tellerOf(4);
  let lost = 0;
  for (let agent = 1; agent <= 40; agent++) {
    streams.nowMs += 2 * SECOND_MS;
    for (const sequence of [1, 3]) arrive(agent, sequence);
    if (agent % 3 === 0) lost += look().reduce((sum, [, datagrams]) => sum + datagrams, 0);
  }
  assert.equal(lost + look(true).reduce((sum, [, datagrams]) => sum + datagrams, 0), 40);
});
