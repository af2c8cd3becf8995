/** Flows that wait to be sent, as the bytes that they are on the wire (`skyfall_flow` of lib/sflow/skyfall.x), without an object each. */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { setUint64Be } from "../lib/u64.ts";
import type { Flow } from "./flow.ts";
import type { ProcessDescription } from "./processes.ts";

const F = SKYFALL_FLOW.fields;
const BODY_BYTES = SKYFALL_FLOW.fixedSize, BODY_WORDS = BODY_BYTES / 4;
const FIRST_CAPACITY = 256;

export class FlowRecords {
  #words = new Uint32Array(FIRST_CAPACITY * BODY_WORDS);
  #view = new DataView(this.#words.buffer);
  #bytes = new Uint8Array(this.#words.buffer);
  readonly #processes: (ProcessDescription | null)[] = [];

  get count(): number {
    return this.#processes.length;
  }

  processOf(index: number): ProcessDescription | null {
    return this.#processes[index]!;
  }

  /** Takes in a flow; the object is not kept. */
  add(flow: Flow): void {
    const at = this.#processes.length * BODY_BYTES;
    if (at === this.#bytes.length) this.#grow();
    this.#processes.push(flow.process);
    this.#writeWho(at, flow);
    this.#writeAmounts(at, flow);
  }

  /** Copies a record's body to `to`, an index of 32-bit words, with the process index that it has in that datagram. */
  copy(index: number, out: Uint32Array, to: number, outView: DataView, processIndex: number): void {
    const from = index * BODY_WORDS;
    for (let i = 0; i < BODY_WORDS; i++) out[to + i] = this.#words[from + i]!;
    outView.setUint32(to * 4 + F.process_index.offset, processIndex);
  }

  clear(): void {
    this.#processes.length = 0;
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
    this.#view = new DataView(words.buffer);
    this.#bytes = new Uint8Array(words.buffer);
  }

  #writeWho(at: number, flow: Flow): void {
    const view = this.#view;
    setUint64Be(view, at + F.flow_id.offset, flow.flow_id);
    setUint64Be(view, at + F.period_start_unix_us.offset, flow.period_start_unix_us);
    setUint64Be(view, at + F.period_end_unix_us.offset, flow.period_end_unix_us);
    this.#bytes.set(flow.local_address, at + F.local_address.offset);
    this.#bytes.set(flow.remote_address, at + F.remote_address.offset);
    view.setUint32(at + F.local_port.offset, flow.local_port);
    view.setUint32(at + F.remote_port.offset, flow.remote_port);
    view.setUint32(at + F.transport_protocol.offset, flow.transport_protocol);
    view.setUint32(at + F.process_index.offset, 0);
    view.setUint32(at + F.role.offset, flow.role);
    view.setUint32(at + F.role_source.offset, flow.role_source);
    view.setUint32(at + F.attribution_source.offset, flow.attribution_source);
    view.setUint32(at + F.state.offset, flow.state);
    view.setUint32(at + F.end_reason.offset, flow.end_reason);
  }

  #writeAmounts(at: number, flow: Flow): void {
    const view = this.#view;
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
}
