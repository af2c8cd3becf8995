/** Shows captures to people: every sample and record of sFlow datagrams, named as in their specifications. */

import { formatAddress } from "../lib/ip_address.ts";
import { dataFormat, SAMPLED_HEADER } from "../lib/sflow/datagram.ts";
import * as layouts from "../lib/sflow/skyfall.gen.ts";
import { readDatagrams } from "./capture.ts";
import { SampledPacket } from "./packet_header.ts";
import { type DatagramSink, type MalformedReason, walkDatagram } from "./walk.ts";
import { readXdrStruct } from "./xdr_read.ts";

/** One line: a datagram's header, a sample with its records, or what was wrong and where. */
export type DescribedLine = Readonly<Record<string, unknown>>;

const SAMPLE_NAMES: Readonly<Record<number, string>> = {
  1: "flow_sample",
  2: "counters_sample",
  3: "flow_sample_expanded",
  4: "counters_sample_expanded",
};

/** Standard records by context and format, fields in the order of the wire (sflow.org, "sFlow structures"). */
const STANDARD_RECORDS: Readonly<Record<string, { readonly name: string; readonly fields: readonly string[] }>> = {
  "flow 1": { name: "sampled_header", fields: ["protocol", "frame_length", "stripped", "header_length"] },
  "flow 3": { name: "sampled_ipv4", fields: ["length", "protocol", "src_ip:4", "dst_ip:4", "src_port", "dst_port", "tcp_flags", "tos"] },
  "flow 4": {
    name: "sampled_ipv6",
    fields: ["length", "protocol", "src_ip:16", "dst_ip:16", "src_port", "dst_port", "tcp_flags", "priority"],
  },
  "flow 2100": { name: "extended_socket_ipv4", fields: ["protocol", "local_ip:4", "remote_ip:4", "local_port", "remote_port"] },
  "flow 2101": { name: "extended_socket_ipv6", fields: ["protocol", "local_ip:16", "remote_ip:16", "local_port", "remote_port"] },
  "flow 2209": {
    name: "extended_tcp_info",
    fields: ["dirn", "snd_mss", "rcv_mss", "unacked", "lost", "retrans", "pmtu", "rtt", "rttvar", "snd_cwnd", "reordering", "min_rtt"],
  },
};

/** Describes every datagram of a pcap file, or the one that the bytes are. */
export function* describeFile(file: Uint8Array, enterprise: number): Generator<DescribedLine> {
  let index = 0;
  for (const datagram of readDatagrams(file)) {
    yield* describeDatagram(datagram, enterprise).map((line) => ({ datagram: index, ...line }));
    index++;
  }
}

/** Describes one datagram. */
export function describeDatagram(datagram: Uint8Array, enterprise: number): DescribedLine[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const describer = new Describer(view, enterprise);
  walkDatagram(view, 0, datagram.length, describer);
  return describer.lines;
}

class Describer implements DatagramSink {
  readonly lines: Record<string, unknown>[] = [];
  readonly #view: DataView;
  readonly #structs: ReadonlyMap<string, { readonly name: string; readonly fields: typeof layouts.SKYFALL_FLOW.fields }>;
  #records: DescribedLine[] = [];

  constructor(view: DataView, enterprise: number) {
    this.#view = view;
    this.#structs = new Map(
      Object.entries(layouts).map(([name, { container, format, fields }]) => {
        const key = `${container === "flow_data" ? "flow" : "counters"} ${dataFormat(enterprise, format)}`;
        return [key, { name: name.toLowerCase(), fields: fields as typeof layouts.SKYFALL_FLOW.fields }];
      }),
    );
  }

  onDatagram(addressAt: number, addressBytes: number, subAgentId: number, sequenceNumber: number, uptimeMs: number): boolean {
    const agent_address = this.#address(addressAt, addressBytes);
    this.lines.push({ kind: "datagram", agent_address, sub_agent_id: subAgentId, sequence_number: sequenceNumber, uptime_ms: uptimeMs });
    return true;
  }

  onSample(tag: number, at: number, bytes: number): boolean {
    this.#records = [];
    const name = SAMPLE_NAMES[tag];
    this.lines.push({
      kind: "sample",
      sample: name ?? tagText(tag),
      bytes,
      ...(name === undefined ? {} : this.#sampleHead(tag, at)),
      records: this.#records,
    });
    return true;
  }

  onRecord(sampleTag: number, tag: number, at: number, bytes: number): void {
    const context = sampleTag % 2 === 1 ? "flow" : "counters";
    const struct = this.#structs.get(`${context} ${tag}`);
    if (struct !== undefined) {
      const values = readXdrStruct(struct.fields, this.#view, at, bytes);
      this.#records.push({ record: struct.name, ...(values === null ? { malformed: "record_body", offset: at } : readable(values)) });
      return;
    }
    const standard = STANDARD_RECORDS[`${context} ${tag}`];
    this.#records.push({
      record: standard?.name ?? tagText(tag),
      bytes,
      ...(standard === undefined ? {} : this.#standard(standard.fields, at, bytes)),
      ...(context === "flow" && tag === SAMPLED_HEADER ? this.#packet(at, bytes) : {}),
    });
  }

  onSampleEnd(): void {}

  onMalformed(reason: MalformedReason, at: number): void {
    this.lines.push({ kind: "malformed", reason, offset: at });
  }

  #sampleHead(tag: number, at: number): DescribedLine {
    const word = (index: number) => this.#view.getUint32(at + 4 * index);
    const expanded = tag > 2 ? 1 : 0;
    const source = expanded ? { source_id: `${word(1)}:${word(2)}` } : { source_id: `${word(1) >>> 24}:${word(1) & 0xffffff}` };
    const head = { sequence_number: word(0), ...source };
    if (tag % 2 === 0) return head;
    return { ...head, sampling_rate: word(2 + expanded), sample_pool: word(3 + expanded), drops: word(4 + expanded) };
  }

  #standard(fields: readonly string[], start: number, bytes: number): DescribedLine {
    const values: Record<string, unknown> = {};
    let at = start;
    for (const field of fields) {
      const [name, addressBytes] = field.split(":");
      const size = Number(addressBytes ?? 4);
      if (size > start + bytes - at) return { ...values, malformed: "record_body", offset: at };
      values[name!] = addressBytes === undefined ? this.#view.getUint32(at) : this.#address(at, size);
      at += size;
    }
    return values;
  }

  /** What the collector reads from a raw header, or why it cannot. */
  #packet(at: number, bytes: number): DescribedLine {
    const packet = new SampledPacket();
    const refused = packet.readHeader(this.#view, at, bytes);
    if (refused !== null) return { refused };
    const { addressBytes, sourceAt, destinationAt, sourcePort, destinationPort, transport, tcpFlags, applicationBytes } = packet;
    return {
      source_address: this.#address(sourceAt, addressBytes),
      source_port: sourcePort,
      destination_address: this.#address(destinationAt, addressBytes),
      destination_port: destinationPort,
      transport_protocol: transport,
      tcp_flags: tcpFlags,
      application_bytes: applicationBytes,
    };
  }

  #address(at: number, bytes: number): string {
    const raw = new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, bytes);
    return formatAddress(bytes === 4 ? Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...raw]) : raw);
  }
}

/** Addresses as text, other bytes as hexadecimal. */
function readable(values: Readonly<Record<string, string | number | Uint8Array>>): DescribedLine {
  return Object.fromEntries(
    Object.entries(values).map((
      [name, value],
    ) => [name, value instanceof Uint8Array ? name.endsWith("_address") ? formatAddress(value) : value.toHex() : value]),
  );
}

function tagText(tag: number): string {
  return `${Math.floor(tag / 4_096)}:${tag % 4_096}`;
}
