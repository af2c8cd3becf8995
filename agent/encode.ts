/** Encodes flows as sFlow version 5 datagrams by lib/sflow/skyfall.x (sflow_version_5.txt, section 5). */

import { isMappedIpv4 } from "../lib/ip_address.ts";
import {
  ADDRESS_TYPE_IPV4,
  ADDRESS_TYPE_IPV6,
  COUNTERS_SAMPLE,
  DATA_SOURCE_LISTENERS,
  DATA_SOURCE_SKYFALL,
  dataFormat,
  DATAGRAM_BYTES_MAX,
  FLOW_SAMPLE,
  SFLOW_VERSION,
} from "../lib/sflow/datagram.ts";
import { SKYFALL_AGENT_COUNTERS, SKYFALL_FLOW, SKYFALL_HOST, SKYFALL_LISTENER, SKYFALL_PROCESS } from "../lib/sflow/skyfall.gen.ts";
import { setUint64Be } from "../lib/u64.ts";
import { AUTHENTICATION_BYTES, DatagramSigner, type SharedKey } from "../lib/sflow/authentication.ts";
import type { Flow } from "./flow.ts";
import { FlowRecords } from "./flow_records.ts";
import type { ListenerReport } from "./listeners.ts";
import { MirrorSamples } from "./mirror.ts";
import type { ProcessDescription } from "./processes.ts";
import { encodeStruct, type XdrValues } from "../lib/sflow/xdr_encode.ts";

/** The host that the flows were seen on: `skyfall_host`. */
export interface HostDescription {
  /** 16 bytes each, zero where unknown. */
  readonly host_id: Uint8Array;
  readonly boot_id: Uint8Array;
  readonly host_name: string;
}

/** `skyfall_agent_counters`: totals since the agent started. */
export type AgentCounters = { readonly [C in keyof typeof SKYFALL_AGENT_COUNTERS.fields]: number };

/** A counter record of skyfall.x. */
export interface CounterRecord {
  readonly format: number;
  readonly body: Uint8Array;
}

export function counterRecord<F extends Parameters<typeof encodeStruct>[0]>(
  { format, fields }: { readonly format: number; readonly fields: F },
  values: XdrValues<F>,
): CounterRecord {
  return { format, body: encodeStruct(fields, values) };
}

/** Where the datagrams come from. */
export interface DatagramSource {
  /** 16 bytes, IPv4 mapped. */
  readonly agentAddress: Uint8Array;
  readonly host: HostDescription;
  readonly enterprise: number;
  readonly interop: boolean;
  /** What datagrams are signed with, or null. */
  readonly key: SharedKey | null;
}

/** A datagram, valid until the encoder makes the next. */
export interface Datagram {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly subAgent: number;
  /** Flow records in it. */
  readonly flowCount: number;
}

const SAMPLE_HEADER_BYTES = 8;
const FLOW_SAMPLE_FIXED_BYTES = 32;
const RECORD_HEADER_BYTES = 8;
const PROCESSES_PER_DATAGRAM_MAX = 255;
const L = SKYFALL_LISTENER.fields;

/** Records of one kind, each with the process whose descriptor goes with it. */
interface Records {
  readonly count: number;
  readonly format: number;
  readonly bodyBytes: number;
  readonly processOf: (index: number) => ProcessDescription | null;
  /** Writes a body at `at`, a multiple of 4. */
  readonly write: (index: number, at: number, processIndex: number) => void;
}

/** An sFlow data source, with what its samples have counted so far. */
interface DataSource {
  readonly id: number;
  sequence: number;
  pool: number;
}

/** Descriptors without their index, which is a datagram's own; encoded once for all encoders. */
const processBodies = new WeakMap<ProcessDescription, Uint8Array>();

/** Makes the datagrams of one sub-agent, with their sequence numbers. */
export class DatagramEncoder {
  readonly #source: DatagramSource;
  readonly #subAgent: number;
  readonly #signer: DatagramSigner | null;
  /** Most bytes of a datagram before it is signed. */
  readonly #bytesMax: number;
  readonly #hostRecord: Uint8Array;
  readonly #mirrors = new MirrorSamples();
  readonly #words = new Uint32Array(DATAGRAM_BYTES_MAX / 4);
  readonly #buffer = new Uint8Array(this.#words.buffer);
  readonly #view = new DataView(this.#words.buffer);
  readonly #flows = new FlowRecords();
  readonly #flowSource: DataSource = { id: DATA_SOURCE_SKYFALL, sequence: 0, pool: 0 };
  readonly #listenerSource: DataSource = { id: DATA_SOURCE_LISTENERS, sequence: 0, pool: 0 };
  #mirrorSamples: Uint8Array[] = [];
  #drops = 0;
  /** As the last flow sample told. */
  #toldDrops = 0;
  #datagramSequence = 0;
  #counterSampleSequence = 0;
  #sampleCountAt = 0;

  constructor(source: DatagramSource, subAgent: number) {
    this.#source = source;
    this.#subAgent = subAgent;
    this.#signer = source.key === null ? null : new DatagramSigner(source.key, source.enterprise, unixUs());
    this.#bytesMax = DATAGRAM_BYTES_MAX - (source.key === null ? 0 : AUTHENTICATION_BYTES);
    this.#hostRecord = encodeStruct(SKYFALL_HOST.fields, source.host);
  }

  /** `skyfall_flow` records made so far: the sample_pool. */
  get flowRecordCount(): number {
    return this.#flowSource.pool;
  }

  /** Flows that were added since the last `flush()`. */
  get pendingFlowCount(): number {
    return this.#flows.count;
  }

  /** Takes in a flow for the next `flush()`; the object is not kept. */
  add(flow: Flow): void {
    this.#flows.add(flow);
    if (this.#source.interop) this.#mirrorSamples.push(...this.#mirrors.encode(flow, this.#source.enterprise, this.#drops));
  }

  /** Encodes the flows in as many datagrams as they need; without flows, the drops where they are others than told. */
  *flush(uptimeMs: number, drops: number): Generator<Datagram> {
    this.#drops = drops;
    const flows = this.#flows;
    const records: Records = {
      count: flows.count,
      format: SKYFALL_FLOW.format,
      bodyBytes: SKYFALL_FLOW.fixedSize,
      processOf: (index) => flows.processOf(index),
      write: (index, at, processIndex) => flows.copy(index, this.#words, at / 4, this.#view, processIndex),
    };
    if (flows.count > 0 || drops !== this.#toldDrops) yield* this.#encodeRecords(this.#flowSource, records, uptimeMs, drops);
    this.#toldDrops = drops;
    flows.clear();
    yield* this.#packSamples(this.#mirrorSamples, uptimeMs);
    this.#mirrorSamples = [];
  }

  /** Encodes listeners in as many datagrams as they need. */
  *encodeListeners(listeners: readonly ListenerReport[], uptimeMs: number): Generator<Datagram> {
    const records: Records = {
      count: listeners.length,
      format: SKYFALL_LISTENER.format,
      bodyBytes: SKYFALL_LISTENER.fixedSize,
      processOf: (index) => listeners[index]!.process,
      write: (index, at, processIndex) => this.#writeListener(at, listeners[index]!, processIndex),
    };
    if (listeners.length === 0) return;
    for (const datagram of this.#encodeRecords(this.#listenerSource, records, uptimeMs, 0)) yield { ...datagram, flowCount: 0 };
  }

  /** Encodes the agent's counters in one datagram. */
  encodeCounters(records: readonly CounterRecord[], uptimeMs: number): Datagram {
    const start = this.#beginDatagram(uptimeMs, 1);
    let at = start + SAMPLE_HEADER_BYTES;
    for (const word of [++this.#counterSampleSequence, DATA_SOURCE_SKYFALL, records.length]) at = this.#word(at, word);
    for (const { format, body } of records) at = this.#record(at, format, body);
    this.#word(this.#word(start, COUNTERS_SAMPLE), at - start - SAMPLE_HEADER_BYTES);
    return this.#datagram(at, 0);
  }

  #datagram(length: number, flowCount: number): Datagram {
    const signed = this.#signer?.sign(this.#buffer, length, this.#sampleCountAt, unixUs()) ?? length;
    return { bytes: this.#buffer.subarray(0, signed), subAgent: this.#subAgent, flowCount };
  }

  #beginDatagram(uptimeMs: number, sampleCount: number): number {
    const isIpv4 = isMappedIpv4(this.#source.agentAddress);
    const address = isIpv4 ? this.#source.agentAddress.subarray(12) : this.#source.agentAddress;
    let at = this.#word(0, SFLOW_VERSION);
    at = this.#word(at, isIpv4 ? ADDRESS_TYPE_IPV4 : ADDRESS_TYPE_IPV6);
    this.#buffer.set(address, at);
    at = this.#word(at + address.length, this.#subAgent);
    at = this.#word(at, ++this.#datagramSequence);
    this.#sampleCountAt = this.#word(at, uptimeMs);
    return this.#word(this.#sampleCountAt, sampleCount);
  }

  *#encodeRecords(source: DataSource, records: Records, uptimeMs: number, drops: number): Generator<Datagram> {
    const order = orderByProcess(records);
    let next = 0;
    do {
      const start = this.#beginDatagram(uptimeMs, 1);
      const { end, at } = this.#writeSample(source, records, order, next, start, drops);
      yield this.#datagram(at, end - next);
      next = end;
    } while (next < order.length);
  }

  /** Writes one flow_sample with the host, the processes and as many records from `first` as fit; at least one does, where there is one. */
  #writeSample(
    source: DataSource,
    records: Records,
    order: Int32Array,
    first: number,
    start: number,
    drops: number,
  ): { end: number; at: number } {
    const { end, indexes } = this.#fit(records, order, first, start);
    source.pool += end - first;
    let at = start + SAMPLE_HEADER_BYTES;
    const recordCount = 1 + indexes.size + end - first;
    for (const word of [++source.sequence, source.id, 1, source.pool, drops, 0, 0, recordCount]) at = this.#word(at, word);
    at = this.#record(at, SKYFALL_HOST.format, this.#hostRecord);
    for (const [process, index] of indexes) {
      at = this.#record(at, SKYFALL_PROCESS.format, this.#processBody(process));
      this.#view.setUint32(at - this.#processBody(process).length, index);
    }
    for (let i = first; i < end; i++) {
      const process = records.processOf(order[i]!);
      at = this.#word(this.#word(at, dataFormat(this.#source.enterprise, records.format)), records.bodyBytes);
      records.write(order[i]!, at, process === null ? 0 : indexes.get(process)!);
      at += records.bodyBytes;
    }
    this.#word(this.#word(start, FLOW_SAMPLE), at - start - SAMPLE_HEADER_BYTES);
    return { end, at };
  }

  /** Place after the last record from `first` that fits into the datagram together with its process, and those processes' indexes. */
  #fit(records: Records, order: Int32Array, first: number, start: number): { end: number; indexes: Map<ProcessDescription, number> } {
    const indexes = new Map<ProcessDescription, number>();
    let bytes = start + SAMPLE_HEADER_BYTES + FLOW_SAMPLE_FIXED_BYTES + RECORD_HEADER_BYTES + this.#hostRecord.length;
    for (let i = first; i < order.length; i++) {
      const process = records.processOf(order[i]!);
      const isNew = process !== null && !indexes.has(process);
      bytes += RECORD_HEADER_BYTES + records.bodyBytes + (isNew ? RECORD_HEADER_BYTES + this.#processBody(process).length : 0);
      if (bytes > this.#bytesMax || (isNew && indexes.size === PROCESSES_PER_DATAGRAM_MAX)) return { end: i, indexes };
      if (isNew) indexes.set(process, indexes.size + 1);
    }
    return { end: order.length, indexes };
  }

  #writeListener(at: number, listener: ListenerReport, processIndex: number): void {
    const view = this.#view;
    this.#buffer.set(listener.address, at + L.local_address.offset);
    view.setUint32(at + L.local_port.offset, listener.port);
    view.setUint32(at + L.transport_protocol.offset, listener.transport_protocol);
    view.setUint32(at + L.network_namespace.offset, listener.network_namespace);
    view.setUint32(at + L.process_index.offset, processIndex);
    setUint64Be(view, at + L.first_seen_unix_us.offset, listener.first_seen_unix_us);
    setUint64Be(view, at + L.last_seen_unix_us.offset, listener.last_seen_unix_us);
    view.setUint32(at + L.listening.offset, listener.listening ? 1 : 0);
  }

  #processBody(process: ProcessDescription): Uint8Array {
    let body = processBodies.get(process);
    if (body === undefined) {
      body = encodeStruct(SKYFALL_PROCESS.fields, { ...process, index: 0 });
      processBodies.set(process, body);
    }
    return body;
  }

  *#packSamples(samples: readonly Uint8Array[], uptimeMs: number): Generator<Datagram> {
    for (let next = 0; next < samples.length;) {
      let at = this.#beginDatagram(uptimeMs, 0);
      let count = 0;
      while (next < samples.length && at + samples[next]!.length <= this.#bytesMax) {
        this.#buffer.set(samples[next]!, at);
        at += samples[next]!.length;
        next++;
        count++;
      }
      this.#word(this.#sampleCountAt, count);
      yield this.#datagram(at, 0);
    }
  }

  #record(at: number, format: number, body: Uint8Array): number {
    const start = this.#word(this.#word(at, dataFormat(this.#source.enterprise, format)), body.length);
    this.#buffer.set(body, start);
    return start + body.length;
  }

  #word(at: number, value: number): number {
    this.#view.setUint32(at, value);
    return at + 4;
  }
}

function unixUs(): number {
  return Date.now() * 1_000;
}

/** Indexes of the records, those of a process together, so that its descriptor is repeated as little as can be. */
function orderByProcess({ count, processOf }: Records): Int32Array {
  const places = new Map<ProcessDescription | null, number>();
  for (let i = 0; i < count; i++) places.set(processOf(i), (places.get(processOf(i)) ?? 0) + 1);
  let next = 0;
  for (const [process, size] of places) {
    places.set(process, next);
    next += size;
  }
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const place = places.get(processOf(i))!;
    order[place] = i;
    places.set(processOf(i), place + 1);
  }
  return order;
}
