/** The catalogue of malformed datagrams that have broken sFlow readers, M01 to M28: what is bad is counted, its neighbours kept. */

import assert from "node:assert/strict";
import { dataFormat, FLOW_SAMPLE } from "../lib/sflow/datagram.ts";
import { VALUE } from "./aggregate.ts";
import { concat, datagram, FLOW, flowSample, GOLDEN, HOST, mapped, PROCESS, skyfallRecord, tagged, words } from "./testdata/datagram.ts";
import { ethernet, ETHERTYPE, FLAGS, HEADER, ipv4, ipv6, mplsLabels, sampledHeader, standardSample, TCP, tcp } from "./testdata/packet.ts";
import { type TestReceiver, testReceiver } from "./testdata/receiver.ts";
import { walkDatagram } from "./walk.ts";

const FLOW_RECORD = skyfallRecord("skyfall_flow", FLOW);
const ALL_ONES = 0xffff_ffff;

/** Receives datagrams, and returns what was counted. */
function receiveAll(...datagrams: Uint8Array[]): TestReceiver {
  const test = testReceiver();
  test.receive(...datagrams);
  return test;
}

/** One good flow got through, and the datagram was counted as malformed for this reason alone. */
function assertFlowKept({ table, receiver }: TestReceiver, reason: string | null): void {
  assert.equal(table.eventCount, 1);
  assert.deepEqual(receiver.counts.malformed, reason === null ? {} : { [reason]: 1 });
  assert.equal(receiver.counts.datagrams_malformed, reason === null ? 0 : 1);
}

/** Nothing got through, and this was why. */
function assertRefused({ table, receiver }: TestReceiver, reason: string): void {
  assert.equal(table.eventCount, 0);
  assert.deepEqual(receiver.counts.malformed, { [reason]: 1 });
}

/** A standard sample with one record, before a flow that must survive it; refused for this reason. */
function assertPacketRefused(record: Uint8Array, reason: string): void {
  const test = receiveAll(datagram([standardSample([record]), flowSample([HOST, PROCESS, FLOW_RECORD])]));
  assertFlowKept(test, null);
  assert.deepEqual(test.receiver.counts.standard_refused, { [reason]: 1 });
}

/** A record of an enterprise that nobody knows. */
const UNKNOWN_RECORD = tagged(dataFormat(99_999, 1), new Uint8Array(12));
/** A standard flow record with a body of our making, between two flows that must survive it. */
function besideFlow(format: number, body: Uint8Array, length = body.length): TestReceiver {
  return receiveAll(datagram([flowSample([HOST, PROCESS, tagged(format, body, length), FLOW_RECORD])]));
}

const ADDRESSES = [Uint8Array.of(10, 0, 0, 7), Uint8Array.of(10, 0, 0, 9)] as const;
const ADDRESSES6 = [mapped(10, 0, 0, 7), mapped(10, 0, 0, 9)] as const;
const packet = (segment: Uint8Array) => ethernet(ETHERTYPE.ipv4, ipv4(ADDRESSES, TCP, segment));
const FRAME = packet(tcp([40_000, 443], FLAGS.ack));

Deno.test("M01: a record count of 2^32 - 1 in a flow sample ends with the sample", () => {
  assertFlowKept(receiveAll(datagram([flowSample([HOST, PROCESS, FLOW_RECORD], { recordCount: ALL_ONES })])), "record_count");
});

Deno.test("M02: a record count of 2^32 - 1 in an expanded flow sample ends with the sample", () => {
  const expanded = tagged(3, concat(words(1, 3, 1, 1, 1, 0, 0, 0, 0, 0, ALL_ONES)));
  const test = receiveAll(datagram([expanded, flowSample([HOST, PROCESS, FLOW_RECORD])]));
  assertFlowKept(test, "record_count");
  assert.deepEqual(test.receiver.counts.standard_refused, { no_packet: 1 });
});

Deno.test("M03: a communities count of 2^32 - 1 in an extended gateway is never read", () => {
  assertFlowKept(besideFlow(1_003, words(1, 0x0a000001, 65_001, 0, 0, 0, ALL_ONES)), null);
});

Deno.test("M04: an AS path member count of 2^32 - 1 is never read", () => {
  assertFlowKept(besideFlow(1_003, words(1, 0x0a000001, 65_001, 0, 0, 1, 2, ALL_ONES)), null);
});

Deno.test("M05: a count that wraps around when multiplied by 4 is no small count", () => {
  assertFlowKept(receiveAll(datagram([flowSample([HOST, PROCESS, FLOW_RECORD], { recordCount: 0x4000_0001 })])), "record_count");
});

Deno.test("M06: a sample longer than its datagram, also with the sign bit set, is refused", () => {
  for (const length of [100, 0x8000_0000, ALL_ONES]) {
    assertRefused(receiveAll(datagram([tagged(1, new Uint8Array(32), length)])), "sample_length");
  }
});

Deno.test("M07: a length that would move a signed cursor backwards ends the walk", () => {
  const backwards = tagged(dataFormat(99_999, 1), new Uint8Array(0), 0xffff_fff8);
  assertFlowKept(receiveAll(datagram([flowSample([HOST, PROCESS, FLOW_RECORD, backwards])])), "record_length");
});

Deno.test("M08: an extended router of 0 to 11 bytes is skipped by its length", () => {
  for (const length of [0, 4, 8]) assertFlowKept(besideFlow(1_002, new Uint8Array(length)), null);
});

Deno.test("M09: a sample count of 2^32 - 1 with an empty body is refused", () => {
  assertRefused(receiveAll(datagram([], { sampleCount: ALL_ONES })), "sample_count");
});

Deno.test("M10: an agent address type other than 1 and 2 is refused", () => {
  for (const type of [0, 3, ALL_ONES]) assertRefused(receiveAll(concat(words(5, type), new Uint8Array(28))), "agent_address_type");
});

Deno.test("M11: a golden datagram cut at any byte throws nothing, and counts no flow that is not whole", () => {
  for (let length = 0; length < GOLDEN.length; length++) {
    const { table, receiver } = receiveAll(GOLDEN.slice(0, length));
    assert.equal(table.eventCount, 0, `cut at ${length}`);
    assert.equal(receiver.counts.datagrams_malformed, 1, `cut at ${length}`);
  }
});

Deno.test("M12: an IPv6 agent cut inside its address is refused", () => {
  assertRefused(receiveAll(concat(words(5, 2), new Uint8Array(9))), "header_cut");
});

Deno.test("M13: a raw header of 0 to 13 bytes is refused, and one that claims more than there is has what there is", () => {
  for (const length of [0, 1, 12, 13]) {
    assertPacketRefused(sampledHeader(FRAME.slice(0, length)), "header_cut");
    assertPacketRefused(sampledHeader(FRAME, FRAME.length, HEADER.ethernet, length), "header_cut");
  }
  assertPacketRefused(sampledHeader(FRAME.slice(0, 20), FRAME.length, HEADER.ethernet, 1_000_000), "header_cut");
  for (const length of [FRAME.length + 1, 1_000_000, ALL_ONES]) {
    const test = receiveAll(datagram([standardSample([sampledHeader(FRAME, FRAME.length, HEADER.ethernet, length)])]));
    assertFlowKept(test, null);
  }
});

Deno.test("M14: an MPLS stack without a bottom, or cut inside a label, is refused", () => {
  const endless = new Uint8Array(96).fill(0x40);
  assertPacketRefused(sampledHeader(endless, 100, HEADER.mpls), "not_ip");
  for (const length of [0, 1, 3, 4, 9]) assertPacketRefused(sampledHeader(endless.slice(0, length), 100, HEADER.mpls), "header_cut");
  assertPacketRefused(sampledHeader(mplsLabels([16], new Uint8Array(0)), 100, HEADER.mpls), "header_cut");
});

Deno.test("M15: a transport header cut inside its ports is refused; behind them, or with an offset beyond what is there, it is read", () => {
  for (const length of [0, 1, 3]) assertPacketRefused(sampledHeader(packet(tcp([1, 2], FLAGS.ack).slice(0, length))), "header_cut");
  const beyond = tcp([1, 2], FLAGS.ack);
  beyond[12] = 0xf0;
  for (const segment of [tcp([1, 2], FLAGS.ack).slice(0, 4), beyond]) {
    const test = receiveAll(datagram([standardSample([sampledHeader(packet(segment))])]));
    assertFlowKept(test, null);
    assert.deepEqual([test.table.value(0, VALUE.bytes_sent), test.table.value(0, VALUE.bytes_received)], [0, 0]);
  }
});

Deno.test("M16: an 802.11 header, whole or cut, is refused", () => {
  for (const length of [0, 1, 23, 24, 128]) {
    assertPacketRefused(sampledHeader(new Uint8Array(length), 1_500, HEADER.wireless), "header_protocol");
  }
});

Deno.test("M17: a chain of IPv6 extension headers or fragments that is endless or cut is refused", () => {
  for (const number of [0, 44]) {
    const next = Uint8Array.of(number, 0, 0, 0, 0, 0, 0, 0);
    const chain = (count: number) => ipv6(ADDRESSES6, number, concat(...Array<Uint8Array>(count).fill(next)));
    assertPacketRefused(sampledHeader(chain(1_000), 8_100, HEADER.ipv6), "ip_header");
    for (const count of [0, 1, 8]) assertPacketRefused(sampledHeader(chain(count), 8_100, HEADER.ipv6), "header_cut");
    assertPacketRefused(sampledHeader(chain(1).slice(0, 45), 8_100, HEADER.ipv6), "header_cut");
  }
  const long = ipv6(ADDRESSES6, 60, Uint8Array.of(TCP, 255, 0, 0, 0, 0, 0, 0));
  assertPacketRefused(sampledHeader(long, 8_100, HEADER.ipv6), "header_cut");
});

Deno.test("M18: a string longer than its bound or than its record makes the descriptor refused, not the flow", () => {
  for (const length of [65, 0x0001_0000, ALL_ONES]) {
    const body = concat(new Uint8Array(32), words(length), new Uint8Array(40));
    const test = receiveAll(datagram([flowSample([tagged(dataFormat(32_473, 1), body), PROCESS, FLOW_RECORD])]));
    assertFlowKept(test, null);
    assert.equal(test.receiver.counts.descriptors_refused, 1);
  }
});

Deno.test("M19: padding that is not zero, missing or one word too long is tolerated", () => {
  const nonZero = tagged(dataFormat(32_473, 1), concat(new Uint8Array(32), words(1), Uint8Array.of(0x61, 1, 2, 3)));
  assertFlowKept(receiveAll(datagram([flowSample([nonZero, PROCESS, FLOW_RECORD])])), null);
  const unpadded = tagged(dataFormat(32_473, 1), concat(new Uint8Array(32), words(1), Uint8Array.of(0x61)), 37);
  assertFlowKept(receiveAll(datagram([flowSample([concat(unpadded, new Uint8Array(3)), PROCESS, FLOW_RECORD])])), null);
  const sample = flowSample([HOST, PROCESS, FLOW_RECORD]);
  const longer = tagged(1, concat(sample.slice(8), words(0)));
  assertFlowKept(receiveAll(datagram([longer])), null);
});

Deno.test("M20: an unknown vendor sample between two good ones costs neither", () => {
  const vendor = tagged(dataFormat(4_300, 1_003), new Uint8Array(20));
  const good = flowSample([HOST, PROCESS, FLOW_RECORD]);
  const { table, receiver } = receiveAll(datagram([good, vendor, good]));
  assert.equal(table.eventCount, 2);
  assert.equal(receiver.counts.samples_ignored, 1);
});

Deno.test("M21: an unknown record between two good ones costs neither", () => {
  const { table, receiver } = receiveAll(datagram([flowSample([HOST, PROCESS, FLOW_RECORD, UNKNOWN_RECORD, FLOW_RECORD])]));
  assert.equal(table.eventCount, 2);
  assert.equal(receiver.counts.records_ignored, 1);
});

Deno.test("M22: garbage behind the last sample is counted, the samples kept", () => {
  assertFlowKept(receiveAll(concat(GOLDEN, words(1, 2, 3))), "trailing_bytes");
});

Deno.test("M23: datagrams of 1,501, 8,192 and 65,507 bytes are read whole", () => {
  for (const size of [1_501, 8_192, 65_507]) {
    const rest = (size - GOLDEN.length) % 4;
    const filler = tagged(dataFormat(99_999, 1), new Uint8Array(size - rest - GOLDEN.length - 8));
    const large = concat(datagram([filler, flowSample([HOST, PROCESS, FLOW_RECORD], { pool: 1 })]), new Uint8Array(rest));
    assert.equal(large.length, size);
    assertFlowKept(receiveAll(large), rest === 0 ? null : "trailing_bytes");
  }
});

Deno.test("M24: a datagram that comes twice counts once; streams that mix, a number that wraps and a restart are no loss", () => {
  const { table, receiver } = receiveAll(GOLDEN, GOLDEN);
  assert.equal(table.eventCount, 1);
  assert.equal(receiver.counts.datagrams_duplicated, 1);
  const wrapped = receiveAll(datagram([], { sequence: ALL_ONES }), datagram([], { sequence: 0 }), datagram([], { sequence: 1 }));
  assert.equal(wrapped.receiver.streams.counts().lost, 0);
  const of = (subAgent: number, sequence: number, uptimeMs = 1_000) => datagram([], { subAgent, sequence, uptimeMs });
  const mixed = receiveAll(of(1, 5), of(2, 900), of(1, 6), of(2, 901), of(1, 7, 31_000), of(1, 1, 500), of(2, 902), of(1, 2, 600));
  const { lost, duplicated, restarted } = mixed.receiver.streams.counts();
  assert.deepEqual([lost, duplicated, restarted], [0, 0, 1]);
});

Deno.test("M25: samples nested in records are not walked into", () => {
  let nested: Uint8Array = flowSample([FLOW_RECORD]);
  for (let depth = 0; depth < 50; depth++) nested = flowSample([nested]);
  const { table } = receiveAll(datagram([nested]));
  assert.equal(table.eventCount, 0);
});

Deno.test("M26: a flow record in a counters sample is not taken for a flow, nor a counter record for one", () => {
  const counters = tagged(2, concat(words(1, 0, 1), tagged(dataFormat(32_473, 3), new Uint8Array(156))));
  const test = receiveAll(datagram([counters, flowSample([HOST, PROCESS, FLOW_RECORD])]));
  assertFlowKept(test, null);
  assert.equal(test.receiver.counts.agent_counters_received, 1); // there the number means skyfall_udp_counters
});

Deno.test("M27: our own record is refused by the field that is impossible or where it is cut; a mapped address is IPv4", () => {
  const cases: readonly [string, Record<string, number | bigint>][] = [
    ["service_port", { remote_port: 0 }],
    ["local_port", { local_port: 65_536 }],
    ["remote_port", { remote_port: ALL_ONES }],
    ["tx_bytes", { tx_bytes: 2n ** 64n - 1n }],
    ["rx_bytes", { rx_bytes: 2n ** 53n }],
    ["role", { role: 3 }],
    ["transport_protocol", { transport_protocol: 1 }],
    ["opened_count", { opened_count: 2 }],
    ["end_reason", { end_reason: 11 }],
    ["amounts_known", { amounts_known: 4 }],
    ["period_end_unix_us", { period_end_unix_us: 2n ** 53n }],
  ];
  for (const [field, values] of cases) {
    const bad = skyfallRecord("skyfall_flow", { ...FLOW, ...values });
    const { table, receiver } = receiveAll(datagram([flowSample([HOST, PROCESS, bad, FLOW_RECORD])]));
    assert.deepEqual(receiver.counts.refused, { [field]: 1 });
    assert.equal(table.eventCount, 1);
  }
  const cut = tagged(dataFormat(32_473, 3), FLOW_RECORD.slice(8, 100));
  assert.deepEqual(receiveAll(datagram([flowSample([HOST, PROCESS, cut])])).receiver.counts.refused, { length: 1 });
  const client = new DataView(new ArrayBuffer(16));
  receiveAll(GOLDEN).table.copyClient(0, client, 0);
  assert.deepEqual(new Uint8Array(client.buffer), mapped(10, 0, 0, 1));
});

Deno.test("M28: random bytes throw nothing and give no flow", () => {
  const seed = Date.now() >>> 0;
  let state = seed;
  const random = () => (state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9 | 0) >>> 0;
  const test = testReceiver();
  for (let i = 0; i < 20_000; i++) {
    const bytes = new Uint8Array(random() % 600);
    for (let at = 0; at < bytes.length; at++) bytes[at] = random();
    // Half of them get past the header.
    if (i % 2 === 0 && bytes.length >= 28) bytes.set(concat(words(5, 1), Uint8Array.of(10, 0, 0, 1), words(1, i, i, random() % 10)));
    test.receive(bytes);
  }
  assert.equal(test.table.eventCount, 0, `seed ${seed}`);
});

/** 65,507 bytes: the header of a datagram, and as many copies of `part` as there is room for. */
function largest(part: Uint8Array, counted: (parts: number) => Uint8Array): Uint8Array {
  const head = counted(0).length, parts = Math.floor((65_507 - head) / part.length);
  return concat(counted(parts), ...Array<Uint8Array>(parts).fill(part));
}

Deno.test("walkDatagram() takes at most 8,192 steps through any datagram", () => {
  const worst: readonly Uint8Array[] = [
    largest(words(dataFormat(99_999, 1), 0), () => datagram([], { sampleCount: ALL_ONES })),
    largest(
      words(dataFormat(99_999, 1), 0),
      (parts) => datagram([tagged(FLOW_SAMPLE, words(1, 1, 1, 1, 0, 0, 0, ALL_ONES), 32 + 8 * parts)]),
    ),
    largest(standardSample([]), (parts) => datagram([], { sampleCount: parts })),
  ];
  for (const bytes of worst) {
    let steps = 0;
    const step = () => ++steps > 0;
    walkDatagram(new DataView(bytes.slice().buffer), 0, bytes.length, {
      onDatagram: step,
      onSample: step,
      onRecord: step,
      onSampleEnd: () => {},
      onMalformed: step,
    });
    assert.ok(steps > 1_500 && steps <= 8_192, `${steps} steps`);
  }
});

Deno.test("FlowReceiver describes only so many new processes of one datagram, and more with the next, until it knows all", () => {
  const processes = Array.from(
    { length: 200 },
    (_, i) => skyfallRecord("skyfall_process", { index: i + 1, pid: i, service_name: `s${i}` }),
  );
  const test = receiveAll(datagram([flowSample([HOST, ...processes, FLOW_RECORD])]));
  assertFlowKept(test, null);
  const refused = test.receiver.counts.descriptors_refused;
  assert.ok(refused > 150 && refused < 200, `${refused} refused`);
  for (let sequence = 2; sequence < 20; sequence++) test.receive(datagram([flowSample([HOST, ...processes, FLOW_RECORD])], { sequence }));
  const refusedByThen = test.receiver.counts.descriptors_refused;
  test.receive(datagram([flowSample([HOST, ...processes, FLOW_RECORD])], { sequence: 20 }));
  assert.equal(test.receiver.counts.descriptors_refused, refusedByThen);
  assert.equal(test.table.eventCount, 20);
});
