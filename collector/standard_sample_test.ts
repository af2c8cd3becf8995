/** Samples of other sFlow agents become the same rows as our own flows: each layer below the ports, each record, each reason to refuse. */

import assert from "node:assert/strict";
import { formatAddress } from "../lib/ip_address.ts";
import { DATA_SOURCE_MIRROR } from "../lib/sflow/datagram.ts";
import { VALUE } from "./aggregate.ts";
import { NO_PAIRS, pairEnds } from "./pair_ends.ts";
import { concat, datagram, FLOW, flowSample, GOLDEN, HOST, mapped, PROCESS, skyfallRecord, tagged, words } from "./testdata/datagram.ts";
import {
  ethernet,
  ETHERTYPE,
  expandedSample,
  FLAGS,
  halves,
  HEADER,
  ICMP,
  ipv4,
  ipv6,
  mplsLabels,
  sampledHeader,
  sampledIp,
  socket,
  standardSample,
  TCP,
  tcp,
  tcpInfo,
  UDP,
  udp,
  vlanTag,
} from "./testdata/packet.ts";
import { type TestReceiver, testReceiver } from "./testdata/receiver.ts";

const CLIENT = Uint8Array.of(10, 0, 0, 7), SERVER = Uint8Array.of(192, 0, 2, 9);
const CLIENT6 = Uint8Array.from([0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 7]);
const SERVER6 = Uint8Array.from([0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 9]);
const SENT = [CLIENT, SERVER] as const, RECEIVED = [SERVER, CLIENT] as const;
const SENT_PORTS = [40_000, 443] as const, RECEIVED_PORTS = [443, 40_000] as const;
const RATE = 1_000;
/** TCP of 12 bytes of options and 500 bytes of payload, which is not captured. */
const SEGMENT = tcp(SENT_PORTS, FLAGS.ack, 3), SEGMENT_BYTES = SEGMENT.length + 500;

function receiveAll(...samples: Uint8Array[]): TestReceiver {
  const test = testReceiver();
  test.receive(datagram(samples));
  return test;
}

/** Every row, in words. */
function rowsOf({ table, identities }: TestReceiver) {
  return [...table.rows()].map((row) => {
    const value = (place: number) => table.value(row, place);
    const client = new DataView(new ArrayBuffer(16)), server = new DataView(new ArrayBuffer(16)), ports = new Int32Array(8);
    table.copyClient(row, client, 0);
    table.copyServer(row, server, 0);
    table.copyPorts(row, ports, 0);
    const { flowSource, samplingRate, host } = identities.get(value(VALUE.identity));
    const ends = [client, server].map(({ buffer }) => formatAddress(new Uint8Array(buffer)));
    return {
      conversation: `${table.transport(row) === TCP ? "tcp" : "udp"} ${ends[0]} ${ports[0]} > ${ends[1]} ${table.serverPort(row)}`,
      role: table.role(row),
      roleSource: value(VALUE.role_source),
      bytes: [value(VALUE.bytes_sent), value(VALUE.bytes_received)],
      segments: [value(VALUE.segments_sent), value(VALUE.segments_received)],
      observer: [flowSource, samplingRate, host.address],
    };
  });
}

/** The one row. */
function rowOf(test: TestReceiver) {
  const [row, ...others] = rowsOf(test);
  assert.deepEqual(others, []);
  return row!;
}

const TCP_ROW = {
  conversation: "tcp 10.0.0.7 40000 > 192.0.2.9 443",
  role: 0,
  roleSource: 4,
  bytes: [500 * RATE, 0],
  segments: [RATE, 0],
  observer: ["sflow", RATE, "10.0.0.1"],
};
const IPV6_ROW = { ...TCP_ROW, conversation: "tcp 2001:db8::7 40000 > 2001:db8::9 443" };

const PACKET4 = ipv4(SENT, TCP, SEGMENT, SEGMENT_BYTES), PACKET6 = ipv6([CLIENT6, SERVER6], TCP, SEGMENT, SEGMENT_BYTES);
const HOP_BY_HOP = [0, Uint8Array.of(0, 0, 1, 4, 0, 0, 0, 0)] as const, ROUTING = [43, new Uint8Array(24).fill(2, 1, 2)] as const;
const FIRST_FRAGMENT = [44, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 9)] as const,
  AUTHENTICATION = [51, new Uint8Array(24).fill(4, 1, 2)] as const;

const LAYERS: readonly (readonly [string, Uint8Array, object])[] = [
  ["IPv4 over Ethernet", sampledHeader(ethernet(ETHERTYPE.ipv4, PACKET4)), TCP_ROW],
  ["IPv6 over Ethernet", sampledHeader(ethernet(ETHERTYPE.ipv6, PACKET6)), IPV6_ROW],
  ["a VLAN", sampledHeader(ethernet(ETHERTYPE.vlan, vlanTag(7, ETHERTYPE.ipv4, PACKET4))), TCP_ROW],
  [
    "a VLAN in a VLAN",
    sampledHeader(ethernet(ETHERTYPE.serviceVlan, vlanTag(7, ETHERTYPE.vlan, vlanTag(8, ETHERTYPE.ipv6, PACKET6)))),
    IPV6_ROW,
  ],
  ["MPLS labels over IPv4", sampledHeader(ethernet(ETHERTYPE.mpls, mplsLabels([16, 17, 18], PACKET4))), TCP_ROW],
  ["an MPLS label over IPv6", sampledHeader(ethernet(ETHERTYPE.mpls, mplsLabels([16], PACKET6))), IPV6_ROW],
  ["IPv4 without a frame", sampledHeader(PACKET4, 552, HEADER.ipv4), TCP_ROW],
  ["IPv6 without a frame", sampledHeader(PACKET6, 572, HEADER.ipv6), IPV6_ROW],
  ["MPLS without a frame", sampledHeader(mplsLabels([16], PACKET4), 556, HEADER.mpls), TCP_ROW],
  ["a frame that the agent does not name", sampledHeader(ethernet(ETHERTYPE.ipv4, PACKET4), 570, 0), TCP_ROW],
  ["IPv4 with options", sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, TCP, SEGMENT, SEGMENT_BYTES, { optionWords: 10 }))), TCP_ROW],
  [
    "IPv6 with extension headers",
    sampledHeader(ethernet(
      ETHERTYPE.ipv6,
      ipv6([CLIENT6, SERVER6], TCP, SEGMENT, SEGMENT_BYTES, { extensions: [HOP_BY_HOP, ROUTING, FIRST_FRAGMENT, AUTHENTICATION] }),
    )),
    IPV6_ROW,
  ],
  [
    "IPv4 that leaves its length to the frame's",
    sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, TCP, SEGMENT, 0, { totalLength: 0 })), 14 + 20 + SEGMENT_BYTES + 4),
    TCP_ROW,
  ],
  [
    "IPv6 that leaves its length to the frame's",
    sampledHeader(ethernet(ETHERTYPE.ipv6, ipv6([CLIENT6, SERVER6], TCP, SEGMENT, 0, { totalLength: 0 })), 14 + 40 + SEGMENT_BYTES + 4),
    IPV6_ROW,
  ],
  [
    "UDP",
    sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, UDP, udp(SENT_PORTS, 500), 508))),
    { ...TCP_ROW, conversation: "udp 10.0.0.7 40000 > 192.0.2.9 443" },
  ],
  [
    "TCP cut behind the ports, whose options are not known",
    sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, TCP, SEGMENT.slice(0, 4), 520))),
    TCP_ROW,
  ],
  ["sampled_ipv4", sampledIp(SENT, SENT_PORTS, { length: 540 }), TCP_ROW],
  ["sampled_ipv6", sampledIp([CLIENT6, SERVER6], SENT_PORTS, { length: 560 }), IPV6_ROW],
];
for (const [name, record, row] of LAYERS) {
  Deno.test(`FlowReceiver reads ${name}`, () => assert.deepEqual(rowOf(receiveAll(standardSample([record]))), row));
}

Deno.test("FlowReceiver reads an expanded flow sample as it does a flow sample", () => {
  assert.deepEqual(rowOf(receiveAll(expandedSample([sampledIp(SENT, SENT_PORTS, { length: 540 })]))), TCP_ROW);
});

Deno.test("FlowReceiver adds up both directions of a conversation in one row, and sampling rates in rows of their own", () => {
  const answer = sampledIp(RECEIVED, RECEIVED_PORTS, { length: 140 });
  const test = receiveAll(standardSample([LAYERS[0]![1]]), standardSample([answer], 2 * RATE), standardSample([answer]));
  assert.deepEqual(rowsOf(test), [
    { ...TCP_ROW, bytes: [500 * RATE, 100 * RATE], segments: [RATE, RATE] },
    { ...TCP_ROW, bytes: [0, 200 * RATE], segments: [0, 2 * RATE], observer: ["sflow", 2 * RATE, "10.0.0.1"] },
  ]);
});

Deno.test("FlowReceiver takes the time of arrival for the packet's", () => {
  const test = testReceiver(), times = [1_700_000_000_000_000, 1_700_000_000_500_000];
  for (const [i, nowUs] of times.entries()) {
    test.table.nowUs = nowUs;
    test.receive(datagram([standardSample([LAYERS[0]![1]])], { sequence: i + 1 }));
  }
  assert.deepEqual([VALUE.window_start, VALUE.window_end].map((place) => test.table.value(0, place)), times);
});

Deno.test("FlowReceiver learns from SYN, and from SYN with ACK, which end is the client, whatever the ports", () => {
  const ports = [400, 9_000] as const, conversation = "tcp 10.0.0.7 400 > 192.0.2.9 9000";
  const syn = receiveAll(standardSample([sampledIp(SENT, ports, { length: 40, flags: FLAGS.syn })]));
  const accepted = { length: 40, flags: FLAGS.syn | FLAGS.ack };
  const synAck = receiveAll(standardSample([sampledIp(RECEIVED, [ports[1], ports[0]], accepted)]));
  const expected = { ...TCP_ROW, conversation, role: 1, roleSource: 1, bytes: [0, 0] };
  assert.deepEqual([rowOf(syn), rowOf(synAck)], [{ ...expected, segments: [RATE, 0] }, { ...expected, segments: [0, RATE] }]);
});

Deno.test("FlowReceiver sees a SYN in a header that ends behind its flags, and none of an earlier packet", () => {
  const ports = [400, 9_000] as const,
    frame = (segment: Uint8Array, transport: number) =>
      standardSample([sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, transport, segment)))]);
  const syn = frame(tcp(ports, FLAGS.syn).slice(0, 14), TCP), cutBefore = frame(tcp(ports, FLAGS.syn).slice(0, 13), TCP);
  assert.deepEqual(rowsOf(receiveAll(syn, cutBefore, frame(udp(ports, 0), UDP))).map(({ role }) => role), [1, 0, 0]);
});

Deno.test("FlowReceiver takes an end that accepted for the server from then on, whatever the ports", () => {
  const ports = [40_000, 50_051] as const, answerPorts = [50_051, 40_000] as const;
  const packets = [
    standardSample([sampledIp(SENT, ports, { length: 540 })]),
    standardSample([sampledIp(RECEIVED, answerPorts, { length: 140 })]),
  ];
  const accepted = standardSample([sampledIp(RECEIVED, answerPorts, { length: 40, flags: FLAGS.syn | FLAGS.ack })], 2 * RATE);
  const unknown = rowOf(receiveAll(...packets));
  assert.deepEqual([unknown.conversation, unknown.role], ["tcp 192.0.2.9 50051 > 10.0.0.7 40000", 0]);
  const answer = sampledIp(RECEIVED, answerPorts, { length: 140 });
  const byUdp = standardSample([sampledIp(RECEIVED, answerPorts, { transport: UDP })]);
  const [, seen, owned, datagrams] = rowsOf(
    receiveAll(accepted, ...packets, standardSample([answer, socket(RECEIVED, answerPorts)]), byUdp),
  );
  const conversation = "tcp 10.0.0.7 40000 > 192.0.2.9 50051", bytes = [500 * RATE, 100 * RATE];
  assert.deepEqual(seen, { ...TCP_ROW, conversation, role: 1, roleSource: 3, bytes, segments: [RATE, RATE] });
  assert.deepEqual([owned!.conversation, owned!.role, owned!.roleSource], [conversation, 2, 3]);
  assert.deepEqual([datagrams!.role, datagrams!.roleSource], [0, 4]);
});

Deno.test("FlowReceiver takes the socket's owner for the observer, and by SYN for the server", () => {
  const local = socket(RECEIVED, RECEIVED_PORTS);
  const sent = receiveAll(standardSample([sampledIp(RECEIVED, RECEIVED_PORTS, { length: 540 }), local]));
  assert.deepEqual(rowOf(sent), { ...TCP_ROW, role: 2, bytes: [0, 500 * RATE], segments: [0, RATE] });
  const syn = receiveAll(standardSample([local, sampledIp(SENT, SENT_PORTS, { length: 40, flags: FLAGS.syn })]));
  assert.deepEqual(rowOf(syn), { ...TCP_ROW, role: 2, roleSource: 2, bytes: [0, 0] });
  const client6 = receiveAll(standardSample([LAYERS[1]![1], socket([CLIENT6, SERVER6], SENT_PORTS)]));
  assert.deepEqual(rowOf(client6), { ...IPV6_ROW, role: 1 });
});

Deno.test("FlowReceiver takes a socket of other addresses or ports for none", () => {
  assert.deepEqual(rowOf(receiveAll(standardSample([LAYERS[0]![1], socket(SENT, [40_001, 443])]))), TCP_ROW);
  const translated = socket([SERVER, Uint8Array.of(172, 16, 0, 1)], RECEIVED_PORTS);
  assert.deepEqual(rowOf(receiveAll(standardSample([LAYERS[0]![1], translated]))), TCP_ROW);
});

Deno.test("FlowReceiver takes the round-trip times from extended_tcp_info, and none where the kernel had none", () => {
  const info = tcpInfo({ rttUs: 120, rttvarUs: 30, cwnd: 10, minRttUs: 0xffff_ffff });
  const { table } = receiveAll(standardSample([LAYERS[0]![1], info]), standardSample([LAYERS[0]![1]]));
  const places = [VALUE.srtt_us_sum, VALUE.srtt_samples, VALUE.rttvar_us_sum, VALUE.snd_cwnd_sum, VALUE.min_rtt_us, VALUE.retransmits];
  assert.deepEqual(places.map((place) => table.value(0, place)), [120, 1, 30, 10, 0, 0]);
});

Deno.test("FlowReceiver gives packets of equal ports one row, whichever way they go", () => {
  const both = [123, 123] as const, options = { length: 76, transport: UDP };
  const test = receiveAll(standardSample([sampledIp(SENT, both, options)]), standardSample([sampledIp(RECEIVED, both, options)]));
  const { conversation, bytes } = rowOf(test);
  assert.deepEqual([conversation, bytes], ["udp 192.0.2.9 123 > 10.0.0.7 123", [48 * RATE, 48 * RATE]]);
});

Deno.test("FlowReceiver reads a sampled_ipv4 beside a raw header that it cannot read, and else only the raw header", () => {
  const wireless = sampledHeader(new Uint8Array(40), 44, HEADER.wireless);
  assert.deepEqual(rowOf(receiveAll(standardSample([wireless, sampledIp(SENT, SENT_PORTS, { length: 540 })]))), TCP_ROW);
  assert.deepEqual(rowOf(receiveAll(standardSample([sampledIp(SENT, [1, 2]), LAYERS[0]![1]]))), TCP_ROW);
});

Deno.test("FlowReceiver counts a sample with our records and standard ones once, and leaves restated flows out", () => {
  const packet = LAYERS[0]![1];
  const own = flowSample([HOST, PROCESS, packet, skyfallRecord("skyfall_flow", FLOW)]);
  const mirror = standardSample([packet, skyfallRecord("skyfall_mirror", { flow_id: 7 })]);
  const ofOtherEnterprise = tagged(1, concat(words(1, DATA_SOURCE_MIRROR, 1, 1, 0, 0, 0, 1), packet));
  const { table, receiver: { counts } } = receiveAll(own, mirror, ofOtherEnterprise, standardSample([packet]));
  assert.deepEqual([table.eventCount, counts.flow_records_received, counts.standard_samples_received], [2, 1, 1]);
  assert.equal(counts.mirror_samples_ignored, 2);
});

Deno.test("pairEnds() holds no estimate against what our own agent counted", () => {
  const nowUs = 1_700_000_000_000_000, ends = { local_address: mapped(192, 0, 2, 9), remote_address: mapped(10, 0, 0, 7) };
  const server = {
    ...FLOW,
    ...ends,
    local_port: 443,
    remote_port: 40_000,
    role: 2,
    period_start_unix_us: nowUs,
    period_end_unix_us: nowUs,
  };
  const test = testReceiver(), counts = { ...NO_PAIRS };
  test.table.nowUs = nowUs;
  const own = flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", server)]);
  test.receive(datagram([own, standardSample([sampledIp(SENT, SENT_PORTS, { flags: FLAGS.syn })])]));
  pairEnds(test.table, test.identities, [...test.table.rows()], counts);
  assert.deepEqual(counts, { ...NO_PAIRS, conversations_server_only: 1 });
});

Deno.test("FlowReceiver keeps our flows apart from those of another agent at the same address", () => {
  const { table, identities } = receiveAll(standardSample([LAYERS[0]![1]]));
  const own = testReceiver();
  own.receive(GOLDEN);
  assert.equal(identities.get(table.value(0, VALUE.identity)).flowSource, "sflow");
  const { flowSource, samplingRate } = own.identities.get(own.table.value(0, VALUE.identity));
  assert.deepEqual([flowSource, samplingRate], ["skyfall", 1]);
});

const REFUSED: readonly (readonly [string, Uint8Array])[] = [
  ["no_packet", standardSample([socket(SENT, SENT_PORTS)])],
  ["sampling_rate", standardSample([LAYERS[0]![1]], 0)],
  ["sampling_rate", standardSample([LAYERS[0]![1]], 0x8000_0000)],
  ["service_port", standardSample([sampledIp(SENT, [40_000, 0], { flags: FLAGS.syn })])],
  ["header_protocol", standardSample([sampledHeader(new Uint8Array(64), 68, HEADER.wireless)])],
  ["not_ip", standardSample([sampledHeader(ethernet(ETHERTYPE.arp, new Uint8Array(28)))])],
  ["not_ip", standardSample([sampledHeader(ethernet(ETHERTYPE.mpls, mplsLabels([16], new Uint8Array(60))))])],
  ["ip_header", standardSample([sampledHeader(ethernet(ETHERTYPE.ipv4, PACKET6))])],
  ["ip_header", standardSample([sampledHeader(Uint8Array.from([0x44, ...new Uint8Array(40)]), 60, HEADER.ipv4)])],
  ["fragment", standardSample([sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, TCP, SEGMENT, 600, { fragmentOffset: 1_480 })))])],
  [
    "fragment",
    standardSample([sampledHeader(
      ethernet(ETHERTYPE.ipv6, ipv6([CLIENT6, SERVER6], TCP, SEGMENT, 600, { extensions: [[44, concat(halves(0, 1_480), words(9))]] })),
    )]),
  ],
  ["not_tcp_or_udp", standardSample([sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, ICMP, new Uint8Array(8))))])],
  ["not_tcp_or_udp", standardSample([sampledIp(SENT, SENT_PORTS, { transport: ICMP })])],
  ["transport_header", standardSample([sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, TCP, new Uint8Array(20))))])],
  ["packet_length", standardSample([sampledIp(SENT, SENT_PORTS, { length: (1 << 20) + 1 })])],
  [
    "packet_length",
    standardSample([sampledHeader(ethernet(ETHERTYPE.ipv4, ipv4(SENT, TCP, SEGMENT, 0, { totalLength: 0 })), 0xffff_ffff)]),
  ],
  ["packet_port", standardSample([sampledIp(SENT, [65_536, 443])])],
  ["record_cut", standardSample([tagged(3, new Uint8Array(28))])],
  ["record_cut", standardSample([tagged(1, new Uint8Array(12))])],
];
for (const [i, [reason, sample]] of REFUSED.entries()) {
  Deno.test(`FlowReceiver refuses a standard sample by ${reason} (${i}), and takes in the next`, () => {
    const { table, receiver: { counts } } = receiveAll(sample, standardSample([LAYERS[0]![1]]));
    assert.deepEqual(counts.standard_refused, { [reason]: 1 });
    assert.deepEqual([counts.standard_samples_received, counts.standard_samples_refused, table.eventCount], [2, 1, 1]);
    assert.equal(counts.datagrams_malformed, 0);
  });
}

Deno.test("FlowReceiver skips expanded counter samples, and keeps the flow behind them", () => {
  const counters = tagged(4, concat(words(1, 0, 5, 1), tagged(1, new Uint8Array(88))));
  const { table, receiver: { counts } } = receiveAll(counters, standardSample([LAYERS[0]![1]]));
  assert.deepEqual([table.eventCount, counts.records_ignored, counts.samples_ignored, counts.datagrams_malformed], [1, 1, 0, 0]);
});

Deno.test("every sample of a datagram with more of them than are added at once is in a row of its own conversation", () => {
  const count = 150, ports = (i: number) => [40_000, 1_000 + i] as const;
  const test = receiveAll(
    ...Array.from({ length: count }, (_, i) => standardSample([sampledIp(SENT, ports(i))])),
  );
  assert.equal(test.receiver.counts.standard_samples_refused, 0);
  assert.deepEqual(
    rowsOf(test).map(({ conversation }) => conversation).sort(),
    Array.from({ length: count }, (_, i) => `tcp 10.0.0.7 40000 > 192.0.2.9 ${1_000 + i}`).sort(),
  );
});
