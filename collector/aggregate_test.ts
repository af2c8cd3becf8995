/** The table adds flows up by conversation and end, and loses none. */

import assert from "node:assert/strict";
import { VALUE } from "./aggregate.ts";
import { datagram, FLOW, flowSample, HOST, mapped, PROCESS, skyfallRecord, type Values } from "./testdata/datagram.ts";
import { testReceiver } from "./testdata/receiver.ts";

function flows(...all: Values[]): Uint8Array {
  return datagram([flowSample([HOST, PROCESS, ...all.map((values) => skyfallRecord("skyfall_flow", { ...FLOW, ...values }))])]);
}

Deno.test("FlowTable adds the flows of a conversation up in one row, with their ephemeral ports", () => {
  const { table, receive } = testReceiver();
  receive(flows({ local_port: 40_001 }, { local_port: 40_000, tx_bytes: 11 }, { local_port: 40_001, rx_bytes: 2 ** 40 }));
  assert.equal(table.rowCount, 1);
  assert.equal(table.value(0, VALUE.bytes_sent), 1_000 + 11 + 1_000);
  assert.equal(table.value(0, VALUE.bytes_received), 300 + 300 + 2 ** 40);
  assert.equal(table.value(0, VALUE.connections_opened), 3);
  assert.equal(table.value(0, VALUE.connections_closed), 3);
  const ports = new Int32Array(2);
  assert.equal(table.ports.copy(0, ports, 0), 2);
  assert.deepEqual([...ports], [40_000, 40_001]);
});

Deno.test("FlowTable turns a server's view around: bytes are sent from client to server", () => {
  const { table, receive } = testReceiver();
  receive(
    flows({
      role: 2,
      local_address: mapped(10, 0, 0, 2),
      remote_address: mapped(10, 0, 0, 1),
      local_port: 443,
      remote_port: 40_000,
      tx_bytes: 300,
      rx_bytes: 1_000,
    }),
  );
  assert.equal(table.value(0, VALUE.bytes_sent), 1_000);
  assert.equal(table.value(0, VALUE.bytes_received), 300);
  assert.equal(table.serverPort(0), 443);
});

Deno.test("FlowTable keeps the two ends of a conversation apart, and gives them one hash", () => {
  const { table, receive } = testReceiver();
  receive(
    flows({}, { role: 2, local_address: mapped(10, 0, 0, 2), remote_address: mapped(10, 0, 0, 1), local_port: 443, remote_port: 40_000 }),
  );
  assert.equal(table.rowCount, 2);
  assert.equal(table.conversationHash(0), table.conversationHash(1));
});

Deno.test("FlowTable keeps other ports, addresses and processes apart", () => {
  const { table, receive } = testReceiver();
  receive(
    flows({}, { remote_port: 444 }, { remote_address: mapped(10, 0, 0, 3) }, { local_address: mapped(10, 0, 0, 9) }, { process_index: 0 }),
  );
  assert.equal(table.rowCount, 5);
});

Deno.test("FlowTable counts each way to end", () => {
  const { table, receive } = testReceiver();
  receive(flows(...Array.from({ length: 11 }, (_, end_reason) => ({ end_reason, opened_count: 0 }))));
  const value = (place: keyof typeof VALUE) => table.value(0, VALUE[place]);
  assert.deepEqual(
    [
      value("connections_closed"),
      value("connections_reset"),
      value("connections_timed_out"),
      value("connections_failed_refused"),
      value("connections_failed_timeout"),
      value("connections_failed_unreachable"),
      value("connections_failed_other"),
    ],
    [5, 2, 1, 1, 1, 1, 2],
  );
});

Deno.test("FlowTable adds up what limited the sender, and counts records with unknown amounts", () => {
  const { table, receive } = testReceiver();
  const limits = { reordering_count: 1, busy_us: 20, rwnd_limited_us: 5, sndbuf_limited_us: 3 };
  receive(flows({ ...limits, amounts_known: 3 }, { ...limits, amounts_known: 2 }, { ...limits, amounts_known: 0 }));
  const places = [VALUE.reordering_seen, VALUE.busy_us, VALUE.rwnd_limited_us, VALUE.sndbuf_limited_us, VALUE.amounts_unknown];
  assert.deepEqual(places.map((place) => table.value(0, place)), [3, 60, 15, 9, 2]);
});

Deno.test("FlowTable takes a round-trip time of 0 for no sample", () => {
  const { table, receive } = testReceiver();
  receive(flows({ srtt_us: 0 }, { srtt_us: 100 }, { srtt_us: 300 }));
  assert.deepEqual([VALUE.srtt_us_sum, VALUE.srtt_samples, VALUE.srtt_us_min, VALUE.srtt_us_max].map((place) => table.value(0, place)), [
    400,
    2,
    100,
    300,
  ]);
});

Deno.test("FlowTable finds every row again through adding and removing, whatever the order", () => {
  const seed = Date.now() >>> 0;
  let state = seed;
  const random = (below: number) => ((state = Math.imul(state ^ state >>> 15, 0x2c1b_3c6d) + 0x9e37_79b9 | 0) >>> 0) % below;
  const { table, receive, flushes } = testReceiver(512);
  const expected = new Map<number, number>();
  for (let step = 0; step < 5_000; step++) {
    const port = 1 + random(400);
    receive(datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", { ...FLOW, remote_port: port })])], { sequence: step + 1 }));
    expected.set(port, (expected.get(port) ?? 0) + 1);
    const row = random(table.rowsEnd);
    if (random(3) === 0 && table.isUsed(row)) {
      expected.delete(table.serverPort(row));
      table.remove(row);
    }
  }
  const found = new Map<number, number>();
  for (let row = 0; row < table.rowsEnd; row++) {
    if (table.isUsed(row)) found.set(table.serverPort(row), table.value(row, VALUE.event_count));
  }
  const sorted = (map: Map<number, number>) => [...map].sort(([a], [b]) => a - b);
  assert.deepEqual(sorted(found), sorted(expected), `seed ${seed}`);
  assert.equal(table.eventCount, [...expected.values()].reduce((a, b) => a + b, 0));
  assert.equal(flushes(), 0);
});

Deno.test("FlowReceiver has the table flushed when it is full", () => {
  const { table, receive, flushes } = testReceiver(4);
  receive(flows(...[1, 2, 3, 4, 5].map((remote_port) => ({ remote_port }))));
  assert.equal(flushes(), 1);
  assert.equal(table.rowCount, 1);
});
