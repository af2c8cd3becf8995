/** Sequence numbers: what is lost, doubled and reordered is told apart exactly. */

import assert from "node:assert/strict";
import { type Arrival, emptyCounts, NO_LOSSES, Stream, type StreamCounts } from "./streams.ts";

function countsOf(stream: Stream): StreamCounts {
  const counts = emptyCounts();
  stream.addTo(counts);
  return counts;
}

function arriveAll(numbers: readonly number[], uptimeMs = 1_000): { readonly counts: StreamCounts; readonly arrivals: Arrival[] } {
  const stream = new Stream();
  const arrivals = numbers.map((number, i) => stream.arrive(number >>> 0, uptimeMs + i));
  return { counts: countsOf(stream), arrivals };
}

Deno.test("Stream counts 1 lost, 2 duplicated and 3 reordered of 10, 11, 16, 12, 15, 14, 14, 14", () => {
  const { counts } = arriveAll([10, 11, 16, 12, 15, 14, 14, 14]);
  assert.deepEqual([counts.lost, counts.duplicated, counts.reordered], [1, 2, 3]);
});

Deno.test("Stream counts across the wrap of 2^32", () => {
  const { counts } = arriveAll([0xffff_fffe, 0xffff_ffff, 1, 0, 3]);
  assert.deepEqual([counts.lost, counts.duplicated, counts.reordered], [1, 0, 1]);
});

Deno.test("Stream counts a gap longer than its window", () => {
  assert.equal(arriveAll([1, 5_001]).counts.lost, 4_999);
});

Deno.test("Stream takes an early datagram that comes late as reordered, not as lost before it", () => {
  const { counts } = arriveAll([5, 6, 4]);
  assert.deepEqual([counts.lost, counts.reordered], [0, 1]);
});

Deno.test("Stream calls what lies behind its window stale", () => {
  assert.deepEqual(arriveAll([1, 2_000, 1]).arrivals, ["new", "new", "stale"]);
});

Deno.test("Stream begins anew when the agent restarts, and keeps what was lost before", () => {
  const stream = new Stream();
  for (const number of [1, 2, 4]) stream.arrive(number, 100_000);
  assert.equal(stream.arrive(1, 10), "restart");
  stream.arrive(2, 20);
  const { lost, restarted, duplicated } = countsOf(stream);
  assert.deepEqual([lost, restarted, duplicated], [1, 1, 0]);
});

Deno.test("Stream is exact against a simulation of loss, duplication and reordering", () => {
  const seed = Date.now() >>> 0;
  let state = seed;
  const random = () => ((state = Math.imul(state ^ state >>> 15, 0x2c1b_3c6d) + 0x9e37_79b9 | 0) >>> 0) / 2 ** 32;
  let lost = 0, duplicated = 0;
  const sent: { readonly number: number; readonly at: number }[] = [];
  for (let number = 0; number < 100_000; number++) {
    const isEnd = number === 0 || number === 99_999; // what is lost before the first or behind the last nobody can know
    if (!isEnd && random() < 0.01) {
      lost++;
      continue;
    }
    const copies = !isEnd && random() < 0.01 ? 2 : 1;
    duplicated += copies - 1;
    for (let copy = 0; copy < copies; copy++) sent.push({ number, at: number + (isEnd ? 0 : random() * 50) });
  }
  sent.sort((a, b) => a.at - b.at);
  const stream = new Stream();
  for (const { number } of sent) stream.arrive((number + 0xffff_0000) >>> 0, 1_000);
  const counts = countsOf(stream);
  assert.deepEqual([counts.lost, counts.duplicated], [lost, duplicated], `seed ${seed}`);
});

Deno.test("Stream tells by sample_pool how many records a missing datagram held", () => {
  const stream = new Stream();
  stream.arriveSample(3, 3, 0);
  stream.arriveSample(12, 5, 2); // 4 records in between never came
  assert.deepEqual([countsOf(stream).missingRecords, countsOf(stream).agentDrops], [4, 2]);
  stream.arriveSample(7, 4, 0); // and now they did
  assert.equal(countsOf(stream).missingRecords, 0);
});

Deno.test("Stream adds up: what arrived, what the agent lost and what the network lost is all that there was", () => {
  const stream = new Stream();
  const sendLost = (records: number) => stream.arriveLosses({ ...NO_LOSSES, ring_lost_events: 2, send_lost_records: records });
  stream.arrive(9, 9_000);
  stream.arriveSample(53, 3, 52); // 50 records could not be sent before this one came
  sendLost(50);
  stream.arriveSample(60, 2, 55); // 5 in between: 3 that could not be sent, 2 that the network lost
  assert.equal(countsOf(stream).missingRecords, 5);
  sendLost(53);
  sendLost(50); // overtaken on the way
  const { missingRecords, agentDrops, agentLosses } = countsOf(stream);
  assert.deepEqual([missingRecords, agentDrops, agentLosses], [2, 55, { ...NO_LOSSES, ring_lost_events: 2, send_lost_records: 53 }]);
  stream.arriveReconciliation(7);
  stream.arrive(1, 10); // the agent restarts
  stream.arriveReconciliation(1);
  assert.equal(countsOf(stream).agentUnreconciled, 8);
  stream.arriveLosses({ ...NO_LOSSES, send_lost_records: 1 });
  assert.deepEqual(countsOf(stream).agentLosses.send_lost_records, 54);
  assert.equal(countsOf(stream).missingRecords, 2);
});
