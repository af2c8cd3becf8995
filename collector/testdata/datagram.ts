/** Builds sFlow datagrams for tests from lib/sflow/skyfall.x itself, so that generated offsets are checked against the file. */

import { dataFormat, DATA_SOURCE_SKYFALL, DEFAULT_ENTERPRISE } from "../../lib/sflow/datagram.ts";
import { parseXdr, type XdrField } from "../../lib/sflow/xdr.ts";

const STRUCTS = new Map(parseXdr(await Deno.readTextFile(new URL("../../lib/sflow/skyfall.x", import.meta.url))).map((s) => [s.name, s]));

type Value = number | bigint | string | Uint8Array;
export type Values = Readonly<Record<string, Value>>;

/** Words of 32 bits, big-endian. */
export function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  values.forEach((value, i) => new DataView(bytes.buffer).setUint32(i * 4, value));
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Tag, length, body; `length` may lie. */
export function tagged(tag: number, body: Uint8Array, length = body.length): Uint8Array {
  return concat(words(tag, length), body);
}

/** A record of lib/sflow/skyfall.x by its structure's name; fields that are not given are zero or empty. */
export function skyfallRecord(name: string, values: Values = {}, enterprise = DEFAULT_ENTERPRISE): Uint8Array {
  const struct = STRUCTS.get(name);
  if (struct === undefined) throw new Error(`Cannot build record: no structure "${name}"`);
  for (const key of Object.keys(values)) if (!struct.fields.some((f) => f.name === key)) throw new Error(`Cannot build record: no field "${name}.${key}"`);
  return tagged(dataFormat(enterprise, struct.format), concat(...struct.fields.map((field) => encodeField(field, values[field.name]))));
}

function encodeField(field: XdrField, value: Value | undefined): Uint8Array {
  if (field.type === "string") {
    const text = typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(0);
    return concat(words(text.length), text, new Uint8Array((4 - text.length % 4) % 4));
  }
  if (field.type === "opaque16") return value instanceof Uint8Array ? value : new Uint8Array(16);
  if (field.type === "u32") return words(Number(value ?? 0));
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(typeof value === "number" || typeof value === "bigint" ? value : 0));
  return bytes;
}

export interface SampleHead {
  readonly sequence?: number;
  readonly pool?: number;
  readonly drops?: number;
  readonly recordCount?: number;
}

/** A flow_sample of data source 3:1. */
export function flowSample(records: readonly Uint8Array[], { sequence = 1, pool = 0, drops = 0, recordCount = records.length }: SampleHead = {}): Uint8Array {
  return tagged(1, concat(words(sequence, DATA_SOURCE_SKYFALL, 1, pool, drops, 0, 0, recordCount), ...records));
}

export interface DatagramHead {
  readonly agent?: Uint8Array;
  readonly subAgent?: number;
  readonly sequence?: number;
  readonly uptimeMs?: number;
  readonly sampleCount?: number;
}

/** A datagram of an agent at 10.0.0.1, or at an address of 4 or 16 bytes. */
export function datagram(
  samples: readonly Uint8Array[],
  { agent = Uint8Array.of(10, 0, 0, 1), subAgent = 1, sequence = 1, uptimeMs = 1_000, sampleCount = samples.length }: DatagramHead = {},
): Uint8Array<ArrayBuffer> {
  return concat(words(5, agent.length === 4 ? 1 : 2), agent, words(subAgent, sequence, uptimeMs, sampleCount), ...samples);
}

/** 16 bytes of an IPv4 address, mapped. */
export function mapped(a: number, b: number, c: number, d: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d);
}

/** Values of a plain flow: a client 10.0.0.1:40000 of a server 10.0.0.2:443. */
export const FLOW: Values = {
  flow_id: 7,
  period_start_unix_us: 1_700_000_000_000_000,
  period_end_unix_us: 1_700_000_001_000_000,
  local_address: mapped(10, 0, 0, 1),
  remote_address: mapped(10, 0, 0, 2),
  local_port: 40_000,
  remote_port: 443,
  transport_protocol: 6,
  process_index: 1,
  role: 1,
  role_source: 1,
  attribution_source: 1,
  state: 4,
  end_reason: 1,
  opened_count: 1,
  amounts_known: 3,
  tx_bytes: 1_000,
  rx_bytes: 300,
  tx_segments: 5,
  rx_segments: 4,
  srtt_us: 120,
  rttvar_us: 30,
  min_rtt_us: 90,
  snd_cwnd_segments: 10,
  connect_us: 80,
};

export const HOST = skyfallRecord("skyfall_host", { host_id: new Uint8Array(16).fill(0xaa), boot_id: new Uint8Array(16).fill(0xbb), host_name: "web-1" });
export const PROCESS = skyfallRecord("skyfall_process", {
  index: 1,
  pid: 4_711,
  user_id: 33,
  network_namespace: 4_026_531_840,
  service_source: 1,
  service_name: "web",
  executable_name: "node",
  executable_path: "/usr/bin/node",
  command_line: "node server.js",
  cgroup_path: "/system.slice/web.service",
});
/** A datagram with one host, process and flow. */
export const GOLDEN = datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", FLOW)], { pool: 1 })]);
