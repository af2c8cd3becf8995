/** Takes the flows out of datagrams, ours and those of other sFlow agents: checks each, accounts for it, and adds it to the table. */

import {
  COUNTERS_SAMPLE,
  COUNTERS_SAMPLE_EXPANDED,
  DATA_SOURCE_MIRROR,
  DATA_SOURCE_SKYFALL,
  dataFormat,
  FLOW_SAMPLE,
  FLOW_SAMPLE_EXPANDED,
} from "../lib/sflow/datagram.ts";
import {
  SKYFALL_AGENT_COUNTERS,
  SKYFALL_AGENT_LOSSES,
  SKYFALL_AUTHENTICATION,
  SKYFALL_FLOW,
  SKYFALL_HOST,
  SKYFALL_LISTENER,
  SKYFALL_MIRROR,
  SKYFALL_PROCESS,
  SKYFALL_RECONCILIATION,
  SKYFALL_UDP_COUNTERS,
} from "../lib/sflow/skyfall.gen.ts";
import { getUint64Be } from "../lib/u64.ts";
import type { FlowTable } from "./aggregate.ts";
import { EXPECTED_MAX } from "./expected_flows.ts";
import { TRANSPORT_TCP, TRANSPORT_UDP } from "./flow_key.ts";
import type { IdentityTable } from "./identities.ts";
import { PendingFlows } from "./pending_flows.ts";
import { StandardSample } from "./standard_sample.ts";
import type { Stream } from "./stream.ts";
import { StreamTable } from "./streams.ts";
import { type DatagramSink, type MalformedReason, walkDatagram } from "./walk.ts";
import { readXdrStruct } from "./xdr_read.ts";

/** Everything that is counted on the way; what is left out has a name. */
export interface ReceiveCounts {
  datagrams_received: number;
  datagrams_malformed: number;
  datagrams_duplicated: number;
  samples_ignored: number;
  records_ignored: number;
  mirror_samples_ignored: number;
  agent_counters_received: number;
  listener_records_received: number;
  flow_records_received: number;
  flow_records_refused: number;
  flow_records_unknown_process: number;
  descriptors_refused: number;
  /** Flow samples of other agents: one packet each, which becomes a flow or is refused. */
  standard_samples_received: number;
  standard_samples_refused: number;
  /** By reason; they add up to `datagrams_malformed` (one a datagram) or more. */
  malformed: Record<string, number>;
  /** By field; they add up to `flow_records_refused`. */
  refused: Record<string, number>;
  /** By reason; they add up to `standard_samples_refused`. */
  standard_refused: Record<string, number>;
}

const F = SKYFALL_FLOW.fields;
/** Bits of a tag below its enterprise. */
const ENTERPRISE_SHIFT = 12;
const PROCESS_INDEX_MAX = 255;
const PORT_MAX = 65_535;
const ROLE_MAX = 2, ROLE_SOURCE_MAX = 4, ATTRIBUTION_SOURCE_MAX = 6, END_REASON_MAX = 10, AMOUNTS_KNOWN_MAX = 3;
/** Above it the upper word makes a number that JavaScript does not hold exactly: 2^53. */
const UPPER_WORD_MAX = 0x001f_ffff;

/** Walks datagrams into a table. Nothing is allocated for a datagram whose descriptors are known. */
export class FlowReceiver implements DatagramSink {
  readonly counts: ReceiveCounts = {
    datagrams_received: 0,
    datagrams_malformed: 0,
    datagrams_duplicated: 0,
    samples_ignored: 0,
    records_ignored: 0,
    mirror_samples_ignored: 0,
    agent_counters_received: 0,
    listener_records_received: 0,
    flow_records_received: 0,
    flow_records_refused: 0,
    flow_records_unknown_process: 0,
    descriptors_refused: 0,
    standard_samples_received: 0,
    standard_samples_refused: 0,
    malformed: {},
    refused: {},
    standard_refused: {},
  };
  readonly streams = new StreamTable();
  readonly #table: FlowTable;
  readonly #identities: IdentityTable;
  readonly #makeRoom: () => void;
  readonly #enterprise: number;
  readonly #hostTag: number;
  readonly #processTag: number;
  readonly #flowTag: number;
  readonly #mirrorTag: number;
  readonly #listenerTag: number;
  readonly #agentCountersTag: number;
  readonly #agentLossesTag: number;
  readonly #udpCountersTag: number;
  readonly #reconciliationTag: number;
  readonly #authenticationTag: number;
  /** Of our agents, in the datagrams; and of others, as the translator left them. */
  readonly #flows = new PendingFlows();
  readonly #standardFlows = new PendingFlows();
  readonly #processes = new Int32Array(PROCESS_INDEX_MAX + 1);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #malformed = false;
  #stream: Stream | null = null;
  /** End of the datagram's latest period: what its sender's clock said just before it sent. */
  #latestEndUs = 0;
  #addressAt = 0;
  #addressBytes = 0;
  #host = -1;
  readonly #standard = new StandardSample();
  /** Whether the standard samples of this datagram have their time. */
  #sampleAt = 0;
  #sampleFlows = 0;
  /** Whether the sample holds a record of ours: what else it tells, it tells again. */
  #isOwn = false;
  #isMirror = false;

  /** @param makeRoom Forgets identities that no row needs. */
  constructor(table: FlowTable, identities: IdentityTable, enterprise: number, makeRoom: () => void) {
    this.#table = table;
    this.#identities = identities;
    this.#makeRoom = makeRoom;
    this.#enterprise = enterprise;
    this.#hostTag = dataFormat(enterprise, SKYFALL_HOST.format);
    this.#processTag = dataFormat(enterprise, SKYFALL_PROCESS.format);
    this.#flowTag = dataFormat(enterprise, SKYFALL_FLOW.format);
    this.#mirrorTag = dataFormat(enterprise, SKYFALL_MIRROR.format);
    this.#listenerTag = dataFormat(enterprise, SKYFALL_LISTENER.format);
    this.#agentCountersTag = dataFormat(enterprise, SKYFALL_AGENT_COUNTERS.format);
    this.#agentLossesTag = dataFormat(enterprise, SKYFALL_AGENT_LOSSES.format);
    this.#udpCountersTag = dataFormat(enterprise, SKYFALL_UDP_COUNTERS.format);
    this.#reconciliationTag = dataFormat(enterprise, SKYFALL_RECONCILIATION.format);
    this.#authenticationTag = dataFormat(enterprise, SKYFALL_AUTHENTICATION.format);
  }

  /** Takes in one datagram. */
  receive(view: DataView, start: number, bytes: number, isTruncated: boolean): void {
    this.read(view, start, bytes, isTruncated);
    this.addFlows();
  }

  /** Makes datagrams at `starts` of `view` quick to read, those of 28 bytes and more. */
  expect(view: DataView, starts: Int32Array, count: number): void {
    const streams = this.streams.expect(view, starts, count);
    for (let i = 0; i < count; i++) {
      const stream = streams[i] ?? null;
      if (stream === null) continue;
      this.#identities.touch(stream.lastHost);
      this.#identities.touch(stream.lastProcess);
    }
  }

  /** Reads one datagram of several in one view; its last flows are added by `addFlows()`, before the view's next use. */
  read(view: DataView, start: number, bytes: number, isTruncated: boolean): void {
    this.counts.datagrams_received++;
    this.#view = view;
    this.#malformed = false;
    if (this.#identities.isFull) {
      this.addFlows();
      this.#makeRoom();
    }
    this.#identities.beginDatagram();
    if (isTruncated) this.onMalformed("truncated", start);
    walkDatagram(view, start, start + bytes, this);
    if (this.#malformed) this.counts.datagrams_malformed++;
  }

  /** Adds the flows that were read to the table, many at once, as each is in memory that is far away. */
  addFlows(): void {
    this.#flows.addTo(this.#table, this.#view);
    this.#standardFlows.addTo(this.#table, this.#standard.flows);
  }

  onDatagram(addressAt: number, addressBytes: number, subAgentId: number, sequenceNumber: number, uptimeMs: number): boolean {
    this.#addressAt = addressAt;
    this.#addressBytes = addressBytes;
    this.#host = -1;
    this.#processes.fill(-1);
    this.#latestEndUs = 0;
    this.#stream = this.streams.find(this.#view, addressAt, addressBytes, subAgentId);
    const arrival = this.#stream.arrive(sequenceNumber, uptimeMs, this.streams.nowMs);
    if (arrival !== "duplicate" && arrival !== "stale") return true;
    this.counts.datagrams_duplicated++;
    return false;
  }

  onSample(tag: number, at: number, _bytes: number): boolean {
    this.#sampleAt = at;
    this.#sampleFlows = 0;
    this.#isOwn = false;
    this.#isMirror = false;
    if (isFlowSample(tag)) {
      this.#standard.begin(this.#view, tag, at);
      return true;
    }
    if (tag === COUNTERS_SAMPLE || tag === COUNTERS_SAMPLE_EXPANDED) return true;
    this.counts.samples_ignored++;
    return false;
  }

  onRecord(sampleTag: number, tag: number, at: number, bytes: number): void {
    // The same number means another thing in a sample of another kind.
    if (!isFlowSample(sampleTag)) this.#onCounters(tag, at, bytes);
    else if (tag >>> ENTERPRISE_SHIFT === this.#enterprise && this.#onOwnRecord(tag, at, bytes)) this.#isOwn = true;
    else if (tag >>> ENTERPRISE_SHIFT !== 0 || !this.#standard.take(tag, at, bytes)) this.counts.records_ignored++;
  }

  #onOwnRecord(tag: number, at: number, bytes: number): boolean {
    if (tag === this.#flowTag) this.#onFlow(at, bytes);
    else if (tag === this.#processTag) this.#onProcess(at, bytes);
    else if (tag === this.#hostTag) {
      this.#host = this.#descriptor(
        this.#identities.host(this.#view, at, bytes, this.#addressAt, this.#addressBytes, this.#stream!.lastHost),
      );
      this.#stream!.lastHost = this.#host;
    } else if (tag === this.#mirrorTag) this.#isMirror = true;
    else if (tag === this.#listenerTag) this.counts.listener_records_received++;
    else return false;
    return true;
  }

  #onCounters(tag: number, at: number, bytes: number): void {
    if (tag === this.#authenticationTag) return; // looked at before, where a key is set
    const isKnown = tag === this.#agentCountersTag || tag === this.#udpCountersTag ||
      tag === this.#agentLossesTag && this.#onLosses(at, bytes) || tag === this.#reconciliationTag && this.#onReconciliation(at, bytes);
    this.counts[isKnown ? "agent_counters_received" : "records_ignored"]++;
  }

  /** False where the record is malformed. */
  #onLosses(at: number, bytes: number): boolean {
    const losses = readXdrStruct(SKYFALL_AGENT_LOSSES.fields, this.#view, at, bytes);
    if (losses !== null) this.#stream?.arriveLosses(losses);
    return losses !== null;
  }

  #onReconciliation(at: number, bytes: number): boolean {
    const told = readXdrStruct(SKYFALL_RECONCILIATION.fields, this.#view, at, bytes);
    if (told === null) return false;
    const { active_opens_persistent_difference, passive_opens_persistent_difference, estab_resets_persistent_difference } = told;
    this.#stream?.arriveReconciliation(
      active_opens_persistent_difference + passive_opens_persistent_difference + estab_resets_persistent_difference,
    );
    return true;
  }

  onSampleEnd(tag: number): void {
    if (!isFlowSample(tag)) return;
    const at = this.#sampleAt, source = tag === FLOW_SAMPLE ? this.#view.getUint32(at + 4) : -1;
    if (this.#isMirror || source === DATA_SOURCE_MIRROR) this.counts.mirror_samples_ignored++;
    else if (!this.#isOwn) this.#onStandardSample();
    if (source !== DATA_SOURCE_SKYFALL) return;
    this.#stream?.arriveSample(this.#view.getUint32(at + 12), this.#sampleFlows, this.#view.getUint32(at + 16));
    if (this.#latestEndUs > 0) this.#stream?.arriveClock(this.#latestEndUs / 1_000, this.streams.nowMs);
  }

  #onStandardSample(): void {
    this.counts.standard_samples_received++;
    const slot = this.#standardFlows.count, problem = this.#standard.translate(this.#view, slot, this.#table.nowUs);
    const identity = problem === null
      ? this.#identities.observer(this.#view, this.#addressAt, this.#addressBytes, this.#standard.samplingRate)
      : -1;
    if (identity >= 0) {
      this.#standardFlows.push(slot * SKYFALL_FLOW.fixedSize, this.#identities.columns.group(identity), identity);
      if (this.#standardFlows.count === EXPECTED_MAX) this.addFlows();
      return;
    }
    const reason = problem ?? "agent_unknown";
    this.counts.standard_samples_refused++;
    this.counts.standard_refused[reason] = (this.counts.standard_refused[reason] ?? 0) + 1;
  }

  onMalformed(reason: MalformedReason, _at: number): void {
    this.counts.malformed[reason] = (this.counts.malformed[reason] ?? 0) + 1;
    this.#malformed = true;
  }

  #onProcess(at: number, bytes: number): void {
    const index = bytes < 4 ? 0 : this.#view.getUint32(at);
    if (index < 1 || index > PROCESS_INDEX_MAX) {
      this.counts.descriptors_refused++;
      return;
    }
    const guess = index === 1 ? this.#stream!.lastProcess : -1;
    const id = this.#processes[index] = this.#descriptor(this.#identities.process(this.#view, at, bytes, this.#knownHost(), guess));
    if (index === 1) this.#stream!.lastProcess = id;
  }

  #descriptor(id: number): number {
    if (id < 0) this.counts.descriptors_refused++;
    return id;
  }

  /** The datagram's host; where it has no usable descriptor, the agent's address stands for it. */
  #knownHost(): number {
    if (this.#host < 0) this.#host = this.#identities.host(this.#view, 0, 0, this.#addressAt, this.#addressBytes);
    return this.#host;
  }

  #onFlow(at: number, bytes: number): void {
    this.counts.flow_records_received++;
    this.#sampleFlows++;
    const wrong = bytes < SKYFALL_FLOW.fixedSize ? "length" : findWrongField(this.#view, at);
    if (wrong !== null) {
      this.counts.flow_records_refused++;
      this.counts.refused[wrong] = (this.counts.refused[wrong] ?? 0) + 1;
      return;
    }
    const index = this.#view.getUint32(at + F.process_index.offset);
    let identity = index === 0 ? -1 : this.#processes[index]!;
    if (identity < 0) {
      if (index !== 0) this.counts.flow_records_unknown_process++;
      identity = this.#knownHost();
    }
    this.#latestEndUs = Math.max(this.#latestEndUs, getUint64Be(this.#view, at + F.period_end_unix_us.offset));
    this.#flows.push(at, this.#identities.columns.group(identity), identity);
    if (this.#flows.count === EXPECTED_MAX) this.addFlows();
  }
}

function isFlowSample(tag: number): boolean {
  return tag === FLOW_SAMPLE || tag === FLOW_SAMPLE_EXPANDED;
}

/** Name of the first field of a flow record with an impossible value, or null. */
function findWrongField(view: DataView, at: number): string | null {
  if (view.getUint32(at + F.local_port.offset) > PORT_MAX) return "local_port";
  if (view.getUint32(at + F.remote_port.offset) > PORT_MAX) return "remote_port";
  if (!isTransport(view.getUint32(at + F.transport_protocol.offset))) return "transport_protocol";
  if (view.getUint32(at + F.process_index.offset) > PROCESS_INDEX_MAX) return "process_index";
  const role = view.getUint32(at + F.role.offset);
  if (role > ROLE_MAX) return "role";
  if (servicePort(view, at, role) === 0) return "service_port";
  if (view.getUint32(at + F.role_source.offset) > ROLE_SOURCE_MAX) return "role_source";
  if (view.getUint32(at + F.attribution_source.offset) > ATTRIBUTION_SOURCE_MAX) return "attribution_source";
  if (view.getUint32(at + F.end_reason.offset) > END_REASON_MAX) return "end_reason";
  if (view.getUint32(at + F.opened_count.offset) > 1) return "opened_count";
  if (view.getUint32(at + F.amounts_known.offset) > AMOUNTS_KNOWN_MAX) return "amounts_known";
  if (view.getUint32(at + F.period_start_unix_us.offset) > UPPER_WORD_MAX) return "period_start_unix_us";
  if (view.getUint32(at + F.period_end_unix_us.offset) > UPPER_WORD_MAX) return "period_end_unix_us";
  if (view.getUint32(at + F.tx_bytes.offset) > UPPER_WORD_MAX) return "tx_bytes";
  if (view.getUint32(at + F.rx_bytes.offset) > UPPER_WORD_MAX) return "rx_bytes";
  if (view.getUint32(at + F.retrans_bytes.offset) > UPPER_WORD_MAX) return "retrans_bytes";
  return null;
}

function isTransport(protocol: number): boolean {
  return protocol === TRANSPORT_TCP || protocol === TRANSPORT_UDP;
}

/** Of a flow of unknown role one port may be unknown too, and then is 0. */
function servicePort(view: DataView, at: number, role: number): number {
  const localPort = view.getUint32(at + F.local_port.offset), remotePort = view.getUint32(at + F.remote_port.offset);
  return role === 2 ? localPort : role === 1 ? remotePort : localPort | remotePort;
}
