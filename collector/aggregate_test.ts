/** The table adds flows up by conversation and end, and loses none. */

import assert from "node:assert/strict";
import type { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { VALUE } from "./aggregate.ts";
import { datagram, FLOW, flowSample, HOST, mapped, PROCESS, skyfallRecord, type Values } from "./testdata/datagram.ts";
import { RowColumns } from "./row_columns.ts";
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
  assert.equal(table.copyPorts(0, ports, 0), 2);
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
  const [client, server] = new RowColumns(table, Int32Array.of(0, 1)).conversationHashes();
  assert.equal(client, server);
});

Deno.test("FlowTable keeps other ports, addresses and processes apart", () => {
  const { table, receive } = testReceiver();
  receive(
    flows({}, { remote_port: 444 }, { remote_address: mapped(10, 0, 0, 3) }, { local_address: mapped(10, 0, 0, 9) }, { process_index: 0 }),
  );
  assert.equal(table.rowCount, 5);
});

Deno.test("FlowTable takes the lower port for the service where the role is unknown, and port 0 for none", () => {
  const { table, receive } = testReceiver();
  const udp = { role: 0, transport_protocol: 17, opened_count: 0, end_reason: 0 };
  receive(
    flows(
      { ...udp, local_port: 40_000, remote_port: 53 },
      { ...udp, local_port: 8_125, remote_port: 0, remote_address: mapped(0, 0, 0, 0), rx_bytes: 70, tx_bytes: 0 },
    ),
  );
  assert.deepEqual([0, 1].map((row) => [table.transport(row), table.serverPort(row)]), [[17, 53], [17, 8_125]]);
  assert.deepEqual([VALUE.bytes_sent, VALUE.bytes_received].map((place) => table.value(1, place)), [70, 0]);
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
  const { table, receive } = testReceiver(1_024);
  const expected = new Map<number, number>();
  for (let step = 0; step < 5_000; step++) {
    const port = 1 + random(400);
    receive(datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", { ...FLOW, remote_port: port })])], { sequence: step + 1 }));
    expected.set(port, (expected.get(port) ?? 0) + 1);
    const row = [...table.rows()][random(400)];
    if (random(3) === 0 && row !== undefined) {
      expected.delete(table.serverPort(row));
      table.remove(row);
    }
  }
  const found = new Map<number, number>();
  for (const row of table.rows()) found.set(table.serverPort(row), table.value(row, VALUE.event_count));
  const sorted = (map: Map<number, number>) => [...map].sort(([a], [b]) => a - b);
  assert.deepEqual(sorted(found), sorted(expected), `seed ${seed}`);
  assert.equal(table.eventCount, [...expected.values()].reduce((a, b) => a + b, 0));
});

/** What lanes of 16 and 32 bits hold, what they overflow with, and what only wide rows have. */
function randomFlow(random: (below: number) => number): Values {
  const amount = (max: number) => random(4) === 0 ? random(max) : random(3);
  const isV6 = random(4) === 0, host = random(3);
  const start = Number(FLOW["period_start_unix_us"]);
  return {
    ...FLOW,
    local_address: isV6 ? Uint8Array.of(0x20, 1, ...new Uint8Array(13), host) : mapped(10, 0, 1, host),
    remote_address: isV6 ? Uint8Array.of(0x20, 1, ...new Uint8Array(13), 9) : mapped(10, 0, 2, 9),
    remote_port: 443 + random(2),
    local_port: 40_000 + random(300),
    period_start_unix_us: start + random(1_000),
    period_end_unix_us: start + 1_000 + random(1_000),
    tx_bytes: amount(random(2) === 0 ? 2 ** 40 : 2 ** 31),
    rx_bytes: amount(2 ** 31),
    retrans_bytes: random(300) === 0 ? random(10_000) : 0,
    tx_segments: amount(60_000),
    rx_segments: amount(60_000),
    retrans_segments: amount(30_000),
    lost_segments: amount(30_000),
    reordering_count: random(300) === 0 ? 1 : 0,
    busy_us: amount(2 ** 31),
    rwnd_limited_us: random(300) === 0 ? random(10_000) : 0,
    srtt_us: amount(2 ** 31),
    rttvar_us: amount(2 ** 31),
    min_rtt_us: amount(1_000),
    snd_cwnd_segments: amount(60_000),
    connect_us: amount(2 ** 31),
    end_reason: random(11),
    amounts_known: random(4),
    role_source: random(5),
    attribution_source: random(7),
  };
}

const SUMS = {
  bytes_sent: "tx_bytes",
  bytes_received: "rx_bytes",
  segments_sent: "tx_segments",
  segments_received: "rx_segments",
  retransmits: "retrans_segments",
  bytes_retrans: "retrans_bytes",
  lost: "lost_segments",
  reordering_seen: "reordering_count",
  busy_us: "busy_us",
  rwnd_limited_us: "rwnd_limited_us",
  srtt_us_sum: "srtt_us",
  connect_us_sum: "connect_us",
  connections_opened: "opened_count",
} as const satisfies Partial<Record<keyof typeof VALUE, keyof typeof SKYFALL_FLOW.fields>>;

/** What a row of these flows must hold. */
function expectedValues(all: readonly Values[]): Partial<Record<keyof typeof VALUE, number>> {
  const numbers = (name: string, of = all) => of.map((flow) => Number(flow[name]));
  const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const least = (values: readonly number[]) => values.length === 0 ? 0 : Math.min(...values);
  const present = (name: string) => numbers(name).filter((value) => value > 0);
  const ended = (...reasons: number[]) => numbers("end_reason").filter((reason) => reasons.includes(reason)).length;
  const measured = all.filter((flow) => Number(flow["srtt_us"]) > 0);
  return {
    ...Object.fromEntries(Object.entries(SUMS).map(([place, field]) => [place, total(numbers(field))])),
    rttvar_us_sum: total(numbers("rttvar_us", measured)),
    srtt_samples: measured.length,
    srtt_us_min: least(present("srtt_us")),
    srtt_us_max: Math.max(...numbers("srtt_us")),
    snd_cwnd_sum: total(numbers("snd_cwnd_segments", measured)),
    snd_cwnd_min: least(numbers("snd_cwnd_segments", measured)),
    min_rtt_us: least(present("min_rtt_us")),
    connect_samples: present("connect_us").length,
    connect_us_max: Math.max(...numbers("connect_us")),
    connections_closed: ended(1, 2, 3, 4, 5),
    connections_reset: ended(3, 4),
    connections_timed_out: ended(5),
    connections_failed_refused: ended(6),
    connections_failed_timeout: ended(7),
    connections_failed_unreachable: ended(8),
    connections_failed_other: ended(9, 10),
    amounts_unknown: all.filter((flow) => flow["amounts_known"] !== 3).length,
    event_count: all.length,
    window_start: Math.min(...numbers("period_start_unix_us")),
    window_end: Math.max(...numbers("period_end_unix_us")),
    role_source: least(present("role_source")),
    attribution_source: numbers("attribution_source").includes(6) ? 6 : least(present("attribution_source")),
  };
}

Deno.test("FlowTable holds what a plain model holds, in narrow and in wide rows, of both address families", () => {
  const seed = Date.now() >>> 0, random = randomNumbers(seed);
  const { table, receive } = testReceiver();
  const byKey = new Map<string, Values[]>();
  const keyOf = (address: Uint8Array, port: number) => `${address}/${port}`;
  for (let step = 0; step < 3_000; step++) {
    const flow = randomFlow(random), key = keyOf(flow["local_address"] as Uint8Array, Number(flow["remote_port"]));
    byKey.set(key, [...byKey.get(key) ?? [], flow]);
    receive(datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", flow)])], { sequence: step + 1 }));
  }
  assert.equal(table.rowCount, byKey.size);
  const rows = Int32Array.from(table.rows()), columns = new RowColumns(table, rows);
  for (const [name, place] of Object.entries(VALUE)) {
    assert.deepEqual([...columns.bigints(place)], Array.from(rows, (row) => BigInt(table.value(row, place))), `${name}, seed ${seed}`);
  }
  assert.deepEqual([...columns.portCounts()], Array.from(rows, (row) => table.portCount(row)), `seed ${seed}`);
  for (const row of table.rows()) {
    const client = new DataView(new ArrayBuffer(16));
    table.copyClient(row, client, 0);
    const all = byKey.get(keyOf(new Uint8Array(client.buffer), table.serverPort(row)))!;
    const expected = expectedValues(all);
    const found = Object.fromEntries(Object.keys(expected).map((place) => [place, table.value(row, VALUE[place as keyof typeof VALUE])]));
    assert.deepEqual(found, expected, `seed ${seed}`);
    const ports = new Int32Array(table.storedPortCount(row));
    table.copyPorts(row, ports, 0);
    assert.deepEqual([...ports], [...new Set(all.map((flow) => Number(flow["local_port"])))].sort((a, b) => a - b), `seed ${seed}`);
  }
});

Deno.test("FlowTable loses no event whose period is longer than its lanes hold, where no wide form is left", () => {
  const { table, receive } = testReceiver(64);
  const period_end_unix_us = Number(FLOW["period_start_unix_us"]) + 7_200_000_000;
  for (let port = 1; port <= 40; port++) {
    receive(
      datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", { ...FLOW, remote_port: port, period_end_unix_us })])], {
        sequence: port,
      }),
    );
  }
  const inRows = [...table.rows()].reduce((sum, row) => sum + table.value(row, VALUE.event_count), 0);
  assert.ok(table.counts.simplified_events > 0);
  assert.deepEqual([inRows, table.eventCount], [40, 40]);
});
