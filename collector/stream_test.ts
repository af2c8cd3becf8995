/** Sequence numbers: what is lost, doubled and reordered is told apart exactly. */

import assert from "node:assert/strict";
import { type Arrival, Stream } from "./stream.ts";
import { NO_LOSSES } from "../lib/sflow/agent_losses.ts";
import { emptyCounts, type StreamCounts } from "./stream_counts.ts";

function countsOf(stream: Stream): StreamCounts {
  const counts = emptyCounts();
  stream.addTo(counts);
  return counts;
}

/** A datagram: its number, its sender's uptime, and when it comes where that is another time. */
type Sent = readonly [number: number, uptimeMs: number, nowMs?: number];

function arriveAll(sent: readonly Sent[]): { readonly counts: StreamCounts; readonly arrivals: Arrival[] } {
  const stream = new Stream();
  const arrivals = sent.map(([number, uptimeMs, nowMs]) => stream.arrive(number >>> 0, uptimeMs >>> 0, nowMs ?? 0));
  return { counts: countsOf(stream), arrivals };
}

function numbers(...all: readonly number[]): Sent[] {
  return all.map((number, i) => [number, 100_000 + i]);
}

Deno.test("Stream counts 1 lost, 2 duplicated and 3 reordered of 10, 11, 16, 12, 15, 14, 14, 14", () => {
  const { counts } = arriveAll(numbers(10, 11, 16, 12, 15, 14, 14, 14));
  assert.deepEqual([counts.received, counts.lost, counts.duplicated, counts.reordered], [6, 1, 2, 3]);
});

Deno.test("Stream counts across the wrap of 2^32", () => {
  const { counts } = arriveAll(numbers(0xffff_fffe, 0xffff_ffff, 1, 0, 3));
  assert.deepEqual([counts.lost, counts.duplicated, counts.reordered], [1, 0, 1]);
});

Deno.test("Stream counts a first datagram that was reordered across the wrap of 2^32", () => {
  const { counts } = arriveAll(numbers(1, 0xffff_fffe, 0xffff_fffe));
  assert.deepEqual([counts.lost, counts.duplicated, counts.reordered], [2, 1, 1]);
});

Deno.test("Stream counts a gap longer than its window", () => {
  assert.equal(arriveAll(numbers(1, 5_001)).counts.lost, 4_999);
});

Deno.test("Stream counts what was lost in an outage of an hour, and sees no restart in it", () => {
  const { counts, arrivals } = arriveAll([[7, 100_000, 0], [3_600_007, 3_700_000, 3_600_000], [3_600_006, 3_699_999, 3_600_001]]);
  assert.deepEqual(arrivals, ["new", "new", "reordered"]);
  assert.deepEqual([counts.lost, counts.restarted], [3_599_998, 0]);
});

Deno.test("Stream counts on where the collector's clock was read too rarely to see an outage", () => {
  assert.deepEqual(arriveAll([[7, 100_000, 0], [57, 150_000, 0]]).counts.lost, 49);
});

Deno.test("Stream takes an early datagram that comes late as reordered, not as lost before it", () => {
  const { counts } = arriveAll(numbers(5, 6, 4));
  assert.deepEqual([counts.lost, counts.reordered], [0, 1]);
});

Deno.test("Stream calls what lies behind its window stale", () => {
  assert.deepEqual(arriveAll(numbers(1_000, 3_000, 1_000)).arrivals, ["new", "new", "stale"]);
  const slow: Sent[] = [[10_000, 100_000], [8_000, 80_000], [10_001, 100_010]];
  assert.deepEqual(arriveAll(slow).arrivals, ["new", "stale", "new"]);
});

Deno.test("Stream begins anew when the agent restarts, and keeps what was lost before", () => {
  const { counts, arrivals } = arriveAll([[1, 90_000], [2, 90_001], [4, 90_002], [1, 10], [2, 20]]);
  assert.deepEqual(arrivals, ["new", "new", "new", "restart", "new"]);
  assert.deepEqual([counts.lost, counts.restarted, counts.duplicated], [1, 1, 0]);
});

Deno.test("Stream sees a restart of an agent that had sent less than it has by now", () => {
  const { counts } = arriveAll([[1, 90_000], [2, 90_001], [5, 10], [6, 20]]);
  assert.deepEqual([counts.restarted, counts.lost], [1, 4]); // 1 to 4 of the second
});

Deno.test("Stream sees a restart after an uptime beyond 2^31 ms, and none where the uptime wraps at 2^32 ms", () => {
  assert.equal(arriveAll([[9_000_000, 3_000_000_000], [1, 10], [2, 20]]).counts.restarted, 1);
  const { counts } = arriveAll([[9_000_000, -5], [9_000_002, 5], [9_000_001, 0]]);
  assert.deepEqual([counts.restarted, counts.lost, counts.reordered], [0, 0, 1]);
});

Deno.test("Stream takes the last datagrams of an agent before it restarted as that one's, though its new ones came first", () => {
  const { counts, arrivals } = arriveAll([
    [50_000, 900_000],
    [2, 20],
    [50_002, 900_010],
    [50_001, 900_005],
    [1, 10],
    [50_001, 900_005],
    [3, 30],
  ]);
  assert.deepEqual(arrivals, ["new", "restart", "new", "reordered", "reordered", "duplicate", "new"]);
  assert.deepEqual([counts.lost, counts.restarted, counts.duplicated, counts.reordered], [0, 1, 1, 2]);
});

Deno.test("Stream takes back a restart where the agent goes on as before", () => {
  const { counts, arrivals } = arriveAll([[20, 10_000, 0], [3, 5_000, 1], [21, 12_500, 2_500], [22, 13_000, 3_000]]);
  assert.deepEqual(arrivals, ["new", "restart", "new", "new"]);
  assert.deepEqual([counts.restarted, counts.stale, counts.lost, counts.received], [0, 1, 0, 3]);
});

Deno.test("Stream sees a restart of an agent without an uptime once its new numbers go on", () => {
  const { counts } = arriveAll([[900_000, 0], ...Array.from({ length: 40 }, (_, i): Sent => [i + 1, 0])]);
  assert.deepEqual([counts.restarted, counts.stale, counts.lost], [1, 15, 15]); // 15 went by before it could be known
});

Deno.test("Stream takes a datagram of a time that fits no incarnation as stale, not as a gap", () => {
  const { counts, arrivals } = arriveAll([[10, 100], [700_000, 9_000_000], [11, 110]]);
  assert.deepEqual(arrivals, ["new", "stale", "new"]);
  assert.equal(counts.lost, 0);
});

Deno.test("Stream tells by sample_pool how many records a missing datagram held", () => {
  const stream = new Stream();
  stream.arrive(1, 1_000, 0);
  stream.arriveSample(3, 3, 0);
  stream.arriveSample(12, 5, 2); // 4 records in between never came
  assert.deepEqual([countsOf(stream).missingRecords, countsOf(stream).agentDrops], [4, 2]);
  stream.arriveSample(7, 4, 0); // and now they did
  assert.equal(countsOf(stream).missingRecords, 0);
});

Deno.test("Stream tells how many records were in the first datagrams of an agent that restarted", () => {
  const stream = new Stream();
  stream.arrive(7, 90_000, 0);
  stream.arriveSample(40, 3, 0);
  stream.arrive(3, 10, 0);
  stream.arriveSample(12, 5, 0); // 1 and 2 had 7
  assert.deepEqual([countsOf(stream).lost, countsOf(stream).missingRecords], [2, 7]);
  stream.arrive(8, 90_005, 0); // overtaken by those
  stream.arriveSample(44, 4, 0);
  assert.deepEqual([countsOf(stream).lost, countsOf(stream).missingRecords], [2, 7]);
});

Deno.test("Stream counts an agent's drops on beyond 2^32", () => {
  const stream = new Stream();
  stream.arrive(1, 1_000, 0);
  stream.arriveSample(3, 3, 0xffff_fff0);
  stream.arriveSample(4, 1, 0x10);
  assert.equal(countsOf(stream).agentDrops, 0x1_0000_0010);
});

Deno.test("Stream adds up: what arrived, what the agent lost and what the network lost is all that there was", () => {
  const stream = new Stream();
  const sendLost = (records: number) => stream.arriveLosses({ ...NO_LOSSES, ring_lost_events: 2, send_lost_records: records });
  stream.arrive(9, 9_000, 0);
  stream.arriveSample(53, 3, 52); // 50 records could not be sent before this one came
  sendLost(50);
  stream.arriveSample(60, 2, 55); // 5 in between: 3 that could not be sent, 2 that the network lost
  assert.equal(countsOf(stream).missingRecords, 5);
  sendLost(53);
  sendLost(50); // overtaken on the way
  const { missingRecords, agentDrops, agentLosses } = countsOf(stream);
  assert.deepEqual([missingRecords, agentDrops, agentLosses], [2, 55, { ...NO_LOSSES, ring_lost_events: 2, send_lost_records: 53 }]);
  stream.arriveReconciliation(7);
  stream.arrive(1, 10, 0); // the agent restarts
  stream.arriveReconciliation(1);
  assert.equal(countsOf(stream).agentUnreconciled, 8);
  stream.arriveSample(2, 1, 1); // 1 could not be sent
  stream.arriveLosses({ ...NO_LOSSES, send_lost_records: 1 });
  assert.deepEqual(countsOf(stream).agentLosses.send_lost_records, 54);
  assert.equal(countsOf(stream).missingRecords, 2);
});

Deno.test("Stream tells how far an agent's clock is off, by the quickest datagram of a minute or two", () => {
  const stream = new Stream();
  assert.equal(stream.skewMs, null);
  stream.arriveClock(1_000_000, 1_000_250);
  stream.arriveClock(1_001_000, 1_001_100);
  stream.arriveClock(1_061_000, 1_061_500);
  assert.equal(stream.skewMs, 100);
  stream.arriveClock(1_122_000, 1_122_300);
  assert.equal(stream.skewMs, 300);
});
