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
import type { Flow } from "./flow.ts";
import type { ListenerReport } from "./listeners.ts";
import { MirrorSamples } from "./mirror.ts";
import type { ProcessDescription } from "./processes.ts";
import { encodeStruct } from "./xdr_encode.ts";

/** The host that the flows were seen on: `skyfall_host`. */
export interface HostDescription {
  /** 16 bytes each, zero where unknown. */
  readonly host_id: Uint8Array;
  readonly boot_id: Uint8Array;
  readonly host_name: string;
}

/** `skyfall_agent_counters`: totals since the agent started. */
export type AgentCounters = { readonly [C in keyof typeof SKYFALL_AGENT_COUNTERS.fields]: number };

/** Where the datagrams come from. */
export interface DatagramSource {
  /** 16 bytes, IPv4 mapped. */
  readonly agentAddress: Uint8Array;
  readonly host: HostDescription;
  readonly enterprise: number;
  readonly interop: boolean;
}

/** Keeps our sequence numbers apart from those of another sFlow agent on the host, which counts as sub-agent 0. */
const SUB_AGENT_ID = 1;
const SAMPLE_HEADER_BYTES = 8;
const FLOW_SAMPLE_FIXED_BYTES = 32;
const RECORD_HEADER_BYTES = 8;
const PROCESSES_PER_DATAGRAM_MAX = 255;
const F = SKYFALL_FLOW.fields, L = SKYFALL_LISTENER.fields;

/** What a record needs of its subject: the process whose descriptor goes with it. */
interface OfProcess {
  readonly process: ProcessDescription | null;
}

/** One kind of record, and the sFlow data source that tells it. */
interface RecordSource<R> {
  readonly dataSource: number;
  readonly format: number;
  readonly bodyBytes: number;
  readonly write: (at: number, record: R, processIndex: number) => void;
  /** Of the samples. */
  sequence: number;
  /** Records made so far: the sample_pool. */
  pool: number;
}

/** Makes the datagrams of one agent, with their sequence numbers. */
export class DatagramEncoder {
  readonly #source: DatagramSource;
  readonly #hostRecord: Uint8Array;
  readonly #processBodies = new WeakMap<ProcessDescription, Uint8Array>();
  readonly #mirrors = new MirrorSamples();
  readonly #buffer = new Uint8Array(DATAGRAM_BYTES_MAX);
  readonly #view = new DataView(this.#buffer.buffer);
  #datagramSequence = 0;
  #counterSampleSequence = 0;
  readonly #flows: RecordSource<Flow> = {
    dataSource: DATA_SOURCE_SKYFALL,
    format: SKYFALL_FLOW.format,
    bodyBytes: SKYFALL_FLOW.fixedSize,
    write: (at, flow, processIndex) => this.#writeFlow(at, flow, processIndex),
    sequence: 0,
    pool: 0,
  };
  readonly #listeners: RecordSource<ListenerReport> = {
    dataSource: DATA_SOURCE_LISTENERS,
    format: SKYFALL_LISTENER.format,
    bodyBytes: SKYFALL_LISTENER.fixedSize,
    write: (at, listener, processIndex) => this.#writeListener(at, listener, processIndex),
    sequence: 0,
    pool: 0,
  };

  constructor(source: DatagramSource) {
    this.#source = source;
    this.#hostRecord = encodeStruct(SKYFALL_HOST.fields, source.host);
  }

  /** `skyfall_flow` records made so far: the sample_pool. */
  get flowRecordCount(): number {
    return this.#flows.pool;
  }

  /**
   * Encodes flows in as many datagrams as they need, those of a process together, so that its descriptor is repeated as
   * little as can be; `onDatagram` gets each datagram with the number of flows in it.
   */
  encodeFlows(
    flows: readonly Flow[],
    uptimeMs: number,
    drops: number,
    onDatagram: (datagram: Uint8Array<ArrayBuffer>, flowCount: number) => void,
  ): void {
    this.#encodeRecords(this.#flows, flows, uptimeMs, drops, onDatagram);
    if (!this.#source.interop) return;
    const samples = flows.flatMap((flow) => this.#mirrors.encode(flow, this.#source.enterprise, drops));
    this.#packSamples(samples, uptimeMs, (datagram) => onDatagram(datagram, 0));
  }

  /** Encodes listeners in as many datagrams as they need. */
  encodeListeners(listeners: readonly ListenerReport[], uptimeMs: number, onDatagram: (datagram: Uint8Array<ArrayBuffer>) => void): void {
    this.#encodeRecords(this.#listeners, listeners, uptimeMs, 0, onDatagram);
  }

  /** Encodes the agent's counters in one datagram. */
  encodeCounters(counters: AgentCounters, uptimeMs: number): Uint8Array<ArrayBuffer> {
    let at = this.#beginDatagram(uptimeMs, 1);
    const body = encodeStruct(SKYFALL_AGENT_COUNTERS.fields, counters);
    for (
      const word of [
        COUNTERS_SAMPLE,
        12 + RECORD_HEADER_BYTES + body.length,
        ++this.#counterSampleSequence,
        DATA_SOURCE_SKYFALL,
        1,
        dataFormat(this.#source.enterprise, SKYFALL_AGENT_COUNTERS.format),
        body.length,
      ]
    ) at = this.#word(at, word);
    this.#buffer.set(body, at);
    return this.#buffer.slice(0, at + body.length);
  }

  #beginDatagram(uptimeMs: number, sampleCount: number): number {
    const isIpv4 = isMappedIpv4(this.#source.agentAddress);
    const address = isIpv4 ? this.#source.agentAddress.subarray(12) : this.#source.agentAddress;
    let at = this.#word(0, SFLOW_VERSION);
    at = this.#word(at, isIpv4 ? ADDRESS_TYPE_IPV4 : ADDRESS_TYPE_IPV6);
    this.#buffer.set(address, at);
    at = this.#word(at + address.length, SUB_AGENT_ID);
    at = this.#word(at, ++this.#datagramSequence);
    at = this.#word(at, uptimeMs);
    return this.#word(at, sampleCount);
  }

  #encodeRecords<R extends OfProcess>(
    source: RecordSource<R>,
    unordered: readonly R[],
    uptimeMs: number,
    drops: number,
    onDatagram: (datagram: Uint8Array<ArrayBuffer>, recordCount: number) => void,
  ): void {
    const records = [...Map.groupBy(unordered, ({ process }) => process).values()].flat();
    for (let next = 0; next < records.length;) {
      const start = this.#beginDatagram(uptimeMs, 1);
      const { end, at } = this.#writeSample(source, records, next, start, drops);
      onDatagram(this.#buffer.slice(0, at), end - next);
      next = end;
    }
  }

  /** Writes one flow_sample with the host, the processes and as many records from `first` as fit; at least one does. */
  #writeSample<R extends OfProcess>(
    source: RecordSource<R>,
    records: readonly R[],
    first: number,
    start: number,
    drops: number,
  ): { end: number; at: number } {
    const end = this.#countFitting(source, records, first, start);
    const indexes = new Map<ProcessDescription, number>();
    for (let i = first; i < end; i++) {
      const process = records[i]!.process;
      if (process !== null && !indexes.has(process)) indexes.set(process, indexes.size + 1);
    }
    source.pool += end - first;
    let at = start + SAMPLE_HEADER_BYTES;
    const recordCount = 1 + indexes.size + end - first;
    for (const word of [++source.sequence, source.dataSource, 1, source.pool, drops, 0, 0, recordCount]) at = this.#word(at, word);
    at = this.#record(at, SKYFALL_HOST.format, this.#hostRecord);
    for (const [process, index] of indexes) {
      at = this.#record(at, SKYFALL_PROCESS.format, this.#processBody(process));
      this.#view.setUint32(at - this.#processBody(process).length, index);
    }
    for (let i = first; i < end; i++) {
      const { process } = records[i]!;
      at = this.#word(this.#word(at, dataFormat(this.#source.enterprise, source.format)), source.bodyBytes);
      source.write(at, records[i]!, process === null ? 0 : indexes.get(process)!);
      at += source.bodyBytes;
    }
    this.#word(this.#word(start, FLOW_SAMPLE), at - start - SAMPLE_HEADER_BYTES);
    return { end, at };
  }

  /** Index after the last record from `first` that fits into the datagram together with its process. */
  #countFitting<R extends OfProcess>(source: RecordSource<R>, records: readonly R[], first: number, start: number): number {
    const described = new Set<ProcessDescription>();
    let bytes = start + SAMPLE_HEADER_BYTES + FLOW_SAMPLE_FIXED_BYTES + RECORD_HEADER_BYTES + this.#hostRecord.length;
    for (let i = first; i < records.length; i++) {
      const process = records[i]!.process;
      bytes += RECORD_HEADER_BYTES + source.bodyBytes;
      if (process !== null && !described.has(process)) {
        if (described.size === PROCESSES_PER_DATAGRAM_MAX) return i;
        described.add(process);
        bytes += RECORD_HEADER_BYTES + this.#processBody(process).length;
      }
      if (bytes > DATAGRAM_BYTES_MAX) return i;
    }
    return records.length;
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

  #writeFlow(at: number, flow: Flow, processIndex: number): void {
    const view = this.#view;
    setUint64Be(view, at + F.flow_id.offset, flow.flow_id);
    setUint64Be(view, at + F.period_start_unix_us.offset, flow.period_start_unix_us);
    setUint64Be(view, at + F.period_end_unix_us.offset, flow.period_end_unix_us);
    this.#buffer.set(flow.local_address, at + F.local_address.offset);
    this.#buffer.set(flow.remote_address, at + F.remote_address.offset);
    view.setUint32(at + F.local_port.offset, flow.local_port);
    view.setUint32(at + F.remote_port.offset, flow.remote_port);
    view.setUint32(at + F.transport_protocol.offset, flow.transport_protocol);
    view.setUint32(at + F.process_index.offset, processIndex);
    view.setUint32(at + F.role.offset, flow.role);
    view.setUint32(at + F.role_source.offset, flow.role_source);
    view.setUint32(at + F.attribution_source.offset, flow.attribution_source);
    view.setUint32(at + F.state.offset, flow.state);
    view.setUint32(at + F.end_reason.offset, flow.end_reason);
    view.setUint32(at + F.opened_count.offset, flow.opened_count);
    view.setUint32(at + F.amounts_known.offset, flow.amounts_known);
    setUint64Be(view, at + F.tx_bytes.offset, flow.tx_bytes);
    setUint64Be(view, at + F.rx_bytes.offset, flow.rx_bytes);
    setUint64Be(view, at + F.retrans_bytes.offset, flow.retrans_bytes);
    view.setUint32(at + F.tx_segments.offset, flow.tx_segments);
    view.setUint32(at + F.rx_segments.offset, flow.rx_segments);
    view.setUint32(at + F.retrans_segments.offset, flow.retrans_segments);
    view.setUint32(at + F.lost_segments.offset, flow.lost_segments);
    view.setUint32(at + F.reordering_count.offset, flow.reordering_count);
    view.setUint32(at + F.busy_us.offset, flow.busy_us);
    view.setUint32(at + F.rwnd_limited_us.offset, flow.rwnd_limited_us);
    view.setUint32(at + F.sndbuf_limited_us.offset, flow.sndbuf_limited_us);
    view.setUint32(at + F.srtt_us.offset, flow.srtt_us);
    view.setUint32(at + F.rttvar_us.offset, flow.rttvar_us);
    view.setUint32(at + F.min_rtt_us.offset, flow.min_rtt_us);
    view.setUint32(at + F.snd_cwnd_segments.offset, flow.snd_cwnd_segments);
    view.setUint32(at + F.connect_us.offset, flow.connect_us);
  }

  /** Descriptor without its index, which is the datagram's own. */
  #processBody(process: ProcessDescription): Uint8Array {
    let body = this.#processBodies.get(process);
    if (body === undefined) {
      body = encodeStruct(SKYFALL_PROCESS.fields, { ...process, index: 0 });
      this.#processBodies.set(process, body);
    }
    return body;
  }

  #packSamples(samples: readonly Uint8Array[], uptimeMs: number, onDatagram: (datagram: Uint8Array<ArrayBuffer>) => void): void {
    for (let next = 0; next < samples.length;) {
      let at = this.#beginDatagram(uptimeMs, 0);
      const countAt = at - 4;
      let count = 0;
      while (next < samples.length && at + samples[next]!.length <= DATAGRAM_BYTES_MAX) {
        this.#buffer.set(samples[next]!, at);
        at += samples[next]!.length;
        next++;
        count++;
      }
      this.#word(countAt, count);
      onDatagram(this.#buffer.slice(0, at));
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
