/** What the dearest datagrams of 64 KiB cost the collector's decoder: each of their kind as full as can be, and each with what is new. */

import { DEFAULT_CONFIG } from "../collector/config.ts";
import { concat, datagram, FLOW, flowSample, HOST, mapped, PROCESS, skyfallRecord, tagged, words } from "../collector/testdata/datagram.ts";
import {
  ethernet,
  ETHERTYPE,
  FLAGS,
  HEADER,
  ipv6,
  mplsLabels,
  sampledHeader,
  sampledIp,
  standardSample,
  TCP,
  tcp,
} from "../collector/testdata/packet.ts";
import { FlowTable } from "../collector/aggregate.ts";
import { IdentityTable } from "../collector/identities.ts";
import { FlowReceiver } from "../collector/receive.ts";
import { dataFormat, DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { formatTable } from "./table.ts";

const BYTES = 65_507, DATAGRAMS = 300, WARM_DATAGRAMS = 100, WINDOW_S = 60;

/** Makes the n-th part of a datagram's many; no two are alike. */
type Part = (n: number) => Uint8Array;

const random = (n: number) => Math.imul(n + 1, 0x9e37_79b1) >>> 0;
const address6 = (n: number) => concat(words(0x2001_0db8, 0, random(n), n));
const EXTENSIONS = Array.from({ length: 16 }, () => [60, new Uint8Array(8)] as const);

const SAMPLES: Readonly<Record<string, Part>> = {
  "unknown samples, empty": () => tagged(dataFormat(99_999, 1), new Uint8Array(0)),
  "flow samples without a record": () => standardSample([]),
  "sampled_ipv4": (n) => standardSample([sampledIp([words(random(n)), words(n)], [40_000, 443])]),
  "sampled_ipv4, one sampling rate each": (n) => standardSample([sampledIp([words(random(n)), words(n)], [40_000, 443])], 1 + n),
  "raw headers, 16 extension headers": (n) =>
    standardSample([
      sampledHeader(
        ipv6([address6(n), address6(n + 1)], TCP, tcp([n & 0xffff, 443], FLAGS.ack), 500, { extensions: EXTENSIONS }),
        600,
        HEADER.ipv6,
      ),
    ]),
  "raw headers, 16 labels": (n) =>
    standardSample([
      sampledHeader(
        ethernet(
          ETHERTYPE.mpls,
          mplsLabels(Array(16).fill(16), ipv6([address6(n), address6(n + 1)], TCP, tcp([n & 0xffff, 443], FLAGS.ack))),
        ),
      ),
    ]),
};
const RECORDS: Readonly<Record<string, Part>> = {
  "unknown records, empty": () => tagged(dataFormat(99_999, 1), new Uint8Array(0)),
  "our flows": (n) =>
    skyfallRecord("skyfall_flow", {
      ...FLOW,
      local_address: mapped(10, n >> 16, n >> 8, n),
      remote_address: address6(n),
      local_port: 1 + n % 65_535,
    }),
  "our flows, refused": () => skyfallRecord("skyfall_flow", { ...FLOW, remote_port: 0 }),
  "our processes": (n) => skyfallRecord("skyfall_process", { index: 1, pid: n, service_name: `${n}` }),
  "our processes, cut": (n) => tagged(dataFormat(32_473, 2), words(1, n)),
  "our hosts": (n) => skyfallRecord("skyfall_host", { host_name: `${n}` }),
};

/** Decodes alone. */
class NoTable extends FlowTable {
  override add(): void {}
  override expect(): void {}
}

function fill(part: Part, first: number, head: (parts: readonly Uint8Array[]) => Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const room = BYTES - head([]).length;
  const parts: Uint8Array[] = [];
  for (let next = part(first), bytes = next.length; bytes <= room; bytes += next.length) {
    parts.push(next);
    next = part(first + parts.length);
  }
  return head(parts);
}

/** Microseconds of each datagram, ascending. */
function measure(datagrams: readonly Uint8Array<ArrayBuffer>[], table: FlowTable): number[] {
  const identities = new IdentityTable();
  const receiver = new FlowReceiver(table, identities, DEFAULT_ENTERPRISE, () => {
    for (const row of [...table.rows()]) table.remove(row);
    identities.clear();
  });
  const times = datagrams.map((bytes) => {
    const view = new DataView(bytes.buffer), startMs = performance.now();
    receiver.receive(view, 0, bytes.length, false);
    return (performance.now() - startMs) * 1_000;
  });
  return times.slice(WARM_DATAGRAMS).sort((a, b) => a - b);
}

function rowOf(name: string, part: Part, head: (parts: readonly Uint8Array[], sequence: number) => Uint8Array<ArrayBuffer>): string[] {
  const datagrams = Array.from({ length: DATAGRAMS }, (_, i) => fill(part, i * 8_192, (parts) => head(parts, i + 1)));
  const decode = measure(datagrams, new NoTable(DEFAULT_CONFIG.tableRows, WINDOW_S, 1)),
    all = measure(datagrams, new FlowTable(DEFAULT_CONFIG.tableRows, WINDOW_S, 1));
  const at = (times: readonly number[], share: number) => times[Math.floor(times.length * share)]!.toFixed(0);
  return [name, at(decode, 0.1), at(decode, 0.5), at(all, 0.1), at(all, 0.5)];
}

const rows = [
  ...Object.entries(SAMPLES).map(([name, part]) => rowOf(name, part, (parts, sequence) => datagram(parts, { sequence }))),
  ...Object.entries(RECORDS).map(([name, part]) =>
    rowOf(name, part, (parts, sequence) => datagram([flowSample([HOST, PROCESS, ...parts])], { sequence }))
  ),
];
console.log(
  `${BYTES} bytes a datagram, ${DATAGRAMS - WARM_DATAGRAMS} datagrams of each kind, no key, host or process twice; microseconds\n`,
);
console.log(formatTable(["filled with", "decode, 10 %", "decode, median", "and aggregate, 10 %", "and aggregate, median"], rows));
