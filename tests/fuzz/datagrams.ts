/** Valid datagrams of every structure that the collector reads, and where in them the structure lies: what the fuzzer begins with. */

import { walkDatagram } from "../../collector/walk.ts";
import { concat, datagram, FLOW, flowSample, mapped, skyfallRecord, tagged, words } from "../../collector/testdata/datagram.ts";
import * as packet from "../../collector/testdata/packet.ts";
import { DATA_SOURCE_LISTENERS, dataFormat } from "../../lib/sflow/datagram.ts";
import type { Random } from "./random.ts";

/** A valid datagram. */
export interface Seed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where words stand on which others depend: tags, lengths, counts, and the beginnings of bodies. */
  readonly structure: readonly number[];
  /** Places of tags alone. */
  readonly tags: readonly number[];
  /** Start and end of records with tag and length, and of samples without. */
  readonly records: readonly (readonly [number, number])[];
  readonly sampleBodies: readonly (readonly [number, number])[];
  /** Flows and packets that become events. */
  readonly events: number;
}

const WORDS_OF_BODY = 6;
const LARGE_EVERY = 16, LARGE_SAMPLES = 150;

/** As many datagrams, of 1 to 5 samples, and some of 150, which tell of no processes: new ones are bounded. */
export function makeSeeds(count: number, random: Random): Seed[] {
  return Array.from({ length: count }, (_, i) => {
    const isLarge = i % LARGE_EVERY === 1;
    const samples = Array.from(
      { length: isLarge ? LARGE_SAMPLES : 1 + random.below(5) },
      () => randomSample(random, isLarge ? DESCRIBING : 0),
    );
    const agent = random.below(4) === 0
      ? concat(words(0x2001_0db8, 0, 0), words(random.below(8)))
      : Uint8Array.of(10, 0, 0, random.below(8));
    const bytes = datagram(samples.map(({ bytes }) => bytes), { agent, subAgent: random.below(2) });
    return { ...structureOf(bytes), events: samples.reduce((sum, { events }) => sum + events, 0) };
  });
}

function structureOf(bytes: Uint8Array<ArrayBuffer>): Omit<Seed, "events"> {
  const structure = [4, bytes[7] === 1 ? 24 : 36], tags: number[] = [];
  const records: [number, number][] = [], sampleBodies: [number, number][] = [];
  walkDatagram(new DataView(bytes.buffer), 0, bytes.length, {
    onDatagram: () => true,
    onSample: (_tag, at, length) => {
      sampleBodies.push([at, at + length]);
      tags.push(at - 8);
      for (let word = -2; word < Math.min(12, length / 4); word++) structure.push(at + 4 * word);
      return true;
    },
    onRecord: (_sampleTag, _tag, at, length) => {
      records.push([at - 8, at + (length + 3 & ~3)]);
      tags.push(at - 8);
      for (let word = -2; word < Math.min(WORDS_OF_BODY, Math.floor(length / 4)); word++) structure.push(at + 4 * word);
    },
    onSampleEnd: () => {},
    onMalformed: (reason, at) => {
      throw new Error(`Cannot make seed: ${reason} at ${at}, needed a valid datagram`);
    },
  });
  return { bytes, structure, tags, records, sampleBodies };
}

interface Sample {
  readonly bytes: Uint8Array;
  readonly events: number;
}

/** Kinds of samples below it tell of hosts and processes. */
const DESCRIBING = 4;

function randomSample(random: Random, firstKind: number): Sample {
  switch (firstKind + random.below(10 - firstKind)) {
    case 0:
    case 1:
    case 2:
      return ownFlows(random);
    case 3:
      return listeners(random);
    case 4:
      return ownCounters(random);
    case 5:
      return foreignSample(random);
    case 6:
      return { bytes: mirror(random), events: 0 };
    default:
      return {
        bytes: (random.below(2) === 0 ? packet.standardSample : packet.expandedSample)(packetRecords(random), 1 + random.below(3)),
        events: 1,
      };
  }
}

function host(random: Random): Uint8Array {
  return skyfallRecord("skyfall_host", { host_id: new Uint8Array(16).fill(random.below(4)), host_name: `host-${random.below(4)}` });
}

function processes(random: Random): Uint8Array[] {
  return Array.from({ length: random.below(4) }, (_, i) =>
    skyfallRecord("skyfall_process", {
      index: i + 1,
      pid: random.below(8),
      service_name: `service-${random.below(8)}`,
      executable_name: "é".repeat(random.below(4)),
      command_line: "x".repeat(random.below(80)),
    }));
}

function address(random: Random): Uint8Array {
  return random.below(3) === 0 ? concat(words(0x2001_0db8, 0, 0, random.below(64))) : mapped(10, 1, random.below(2), random.below(64));
}

function ownFlows(random: Random): Sample {
  const described = processes(random);
  const flows = Array.from({ length: 1 + random.below(6) }, (_, i) =>
    skyfallRecord("skyfall_flow", {
      ...FLOW,
      flow_id: i,
      local_address: address(random),
      remote_address: address(random),
      local_port: 1 + random.below(65_535),
      remote_port: 1 + random.below(1_024),
      transport_protocol: random.pick([6, 17]),
      process_index: random.below(described.length + 1),
      role: random.below(3),
      role_source: random.below(5),
      end_reason: random.below(11),
      opened_count: random.below(2),
      amounts_known: random.below(4),
      tx_bytes: random.word(),
      rx_bytes: random.word(),
    }));
  return { bytes: flowSample([host(random), ...described, ...flows], { pool: flows.length }), events: flows.length };
}

function listeners(random: Random): Sample {
  const record = skyfallRecord("skyfall_listener", { local_address: address(random), local_port: 80, transport_protocol: 6, listening: 1 });
  const records = [host(random), ...processes(random), record];
  return { bytes: tagged(1, concat(words(1, DATA_SOURCE_LISTENERS, 1, 1, 0, 0, 0, records.length), ...records)), events: 0 };
}

function ownCounters(random: Random): Sample {
  const records = [
    skyfallRecord("skyfall_agent_counters", { kernel_events: random.below(100) }),
    skyfallRecord("skyfall_agent_losses", { ring_lost_events: random.below(100) }),
    skyfallRecord("skyfall_udp_counters", { udp_flows: random.below(100) }),
    skyfallRecord("skyfall_reconciliation", { active_opens: random.below(100) }),
  ].slice(random.below(4));
  return { bytes: tagged(2, concat(words(1, 0x0300_0001, records.length), ...records)), events: 0 };
}

/** Samples and records that are skipped by their length, with counts and strings inside. */
function foreignSample(random: Random): Sample {
  const counters = [tagged(1, new Uint8Array(88)), tagged(2_000, concat(words(5), new Uint8Array(40)))];
  const gateway = tagged(1_003, words(1, 0x0a00_0001, 65_001, 65_002, 65_003, 1, 2, 2, 65_004, 65_005, 1, 7, 100));
  switch (random.below(4)) {
    case 0:
      return { bytes: tagged(4, concat(words(1, 0, 5, counters.length), ...counters)), events: 0 };
    case 1:
      return { bytes: tagged(5, new Uint8Array(32)), events: 0 };
    case 2:
      return { bytes: tagged(dataFormat(4_300, 1_003), new Uint8Array(20)), events: 0 };
    default:
      return { bytes: packet.standardSample([tagged(1_001, words(1, 0, 2, 0)), ...packetRecords(random), gateway]), events: 1 };
  }
}

function mirror(random: Random): Uint8Array {
  return packet.standardSample([...packetRecords(random), skyfallRecord("skyfall_mirror", { flow_id: random.word() })]);
}

function packetRecords(random: Random): Uint8Array[] {
  const isIpv4 = random.below(2) === 0;
  const end = () => isIpv4 ? Uint8Array.of(10, 1, 0, random.below(64)) : concat(words(0x2001_0db8, 0, 0, random.below(64)));
  const addresses = [end(), end()] as const, ports = [1 + random.below(65_535), 1 + random.below(1_024)] as const;
  const flags = random.pick([packet.FLAGS.syn, packet.FLAGS.syn | packet.FLAGS.ack, packet.FLAGS.ack, packet.FLAGS.rst]);
  const described = random.below(3) === 0 ? packet.sampledIp(addresses, ports, { flags }) : rawHeader(random, addresses, ports, flags);
  const extra = [
    packet.socket(addresses, ports),
    packet.tcpInfo({ rttUs: random.below(1_000) }),
    tagged(1_001, words(1, 0, 2, 0)),
    tagged(1_043, words(1, 2)),
  ];
  return [described, ...extra.filter(() => random.below(3) === 0)];
}

function rawHeader(
  random: Random,
  addresses: readonly [Uint8Array, Uint8Array],
  ports: readonly [number, number],
  flags: number,
): Uint8Array {
  const isIpv4 = addresses[0].length === 4, isTcp = random.below(3) > 0;
  const payloadBytes = random.below(1_400);
  const segment = isTcp ? packet.tcp(ports, flags, random.below(4)) : packet.udp(ports, payloadBytes);
  const extensions = [[0, new Uint8Array(8)], [60, new Uint8Array(16).fill(1, 1, 2)], [44, new Uint8Array(8)]] as const;
  const make = isIpv4 ? packet.ipv4 : packet.ipv6;
  const ip = make(addresses, isTcp ? packet.TCP : packet.UDP, segment, segment.length + payloadBytes, {
    optionWords: random.below(3),
    extensions: extensions.slice(random.below(4)),
  });
  const type = isIpv4 ? packet.ETHERTYPE.ipv4 : packet.ETHERTYPE.ipv6;
  switch (random.below(4)) {
    case 0:
      return packet.sampledHeader(ip, ip.length + payloadBytes, isIpv4 ? packet.HEADER.ipv4 : packet.HEADER.ipv6);
    case 1:
      return packet.sampledHeader(packet.ethernet(packet.ETHERTYPE.vlan, packet.vlanTag(7, type, ip)));
    case 2:
      return packet.sampledHeader(packet.ethernet(packet.ETHERTYPE.mpls, packet.mplsLabels([16, 17], ip)));
    default:
      return packet.sampledHeader(packet.ethernet(type, ip));
  }
}
