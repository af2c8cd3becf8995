/** Adds flows up by minute, reporting process, role, transport, client address, server address and service port, in fixed memory. */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { PortSets } from "./port_sets.ts";

const F = SKYFALL_FLOW.fields;

/** Words of a row's key: group, transport and role, client address, server address, service port, minutes; then its hash. */
const KEY_WORDS = 13, KEY_STRIDE = 14;
const KEY_GROUP = 0, KEY_KIND = 1, KEY_CLIENT = 2, KEY_SERVER = 6, KEY_PORT = 10, KEY_MINUTE = 11, KEY_MINUTES_ON = 12, KEY_HASH = 13;

const MINUTE_US = 60_000_000;
/** A period that ends so little after its minute is that minute's: agents look at all their sockets one after the other. */
const LATE_US = 1_000_000;

/** Places of a row's values. */
export const VALUE = {
  bytes_sent: 0,
  bytes_received: 1,
  segments_sent: 2,
  segments_received: 3,
  retransmits: 4,
  bytes_retrans: 5,
  lost: 6,
  connections_opened: 7,
  connections_closed: 8,
  connections_reset: 9,
  connections_failed_refused: 10,
  connections_failed_timeout: 11,
  connections_failed_other: 12,
  srtt_us_sum: 13,
  srtt_samples: 14,
  srtt_us_min: 15,
  srtt_us_max: 16,
  rttvar_us_sum: 17,
  min_rtt_us: 18,
  connect_us_sum: 19,
  connect_samples: 20,
  connect_us_max: 21,
  snd_cwnd_sum: 22,
  snd_cwnd_min: 23,
  event_count: 24,
  window_start: 25,
  window_end: 26,
  identity: 27,
  role_source: 28,
  attribution_source: 29,
  reordering_seen: 30,
  busy_us: 31,
  rwnd_limited_us: 32,
  sndbuf_limited_us: 33,
  connections_timed_out: 34,
  connections_failed_unreachable: 35,
  amounts_unknown: 36,
} as const;
const VALUE_STRIDE = 40;

export const ROLE_CLIENT = 1, ROLE_SERVER = 2;

/** `skyfall_flow.end_reason`. */
const END = {
  closedLocal: 1,
  closedRemote: 2,
  resetLocal: 3,
  resetRemote: 4,
  timeout: 5,
  refused: 6,
  connectTimeout: 7,
  unreachable: 8,
  connectAborted: 9,
  connectFailed: 10,
} as const;

/** Both bits of `skyfall_flow.amounts_known`. */
const AMOUNTS_KNOWN = 3;

/** `skyfall_flow.attribution_source`: accept(2). */
const ATTRIBUTION_ACCEPT = 6;

/**
 * Rows of one worker. A table of row numbers with linear probing points into dense rows, so that memory is touched only as
 * far as rows are in use. The hash is seeded, and keys are compared in full: crafted collisions cost time, never truth.
 */
export class FlowTable {
  readonly rowsMax: number;
  readonly ports: PortSets;
  readonly #mask: number;
  /** Slot -> row + 1. */
  readonly #slots: Int32Array;
  readonly #keys: Uint32Array;
  readonly #values: Float64Array;
  readonly #used: Uint8Array;
  readonly #free: Int32Array;
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  readonly #key = new Uint32Array(KEY_WORDS);
  #freeCount = 0;
  #highest = 0;
  #rows = 0;
  #events = 0;

  /** @param rowsMax A power of 2. */
  constructor(rowsMax: number) {
    this.rowsMax = rowsMax;
    this.#mask = rowsMax * 2 - 1;
    this.#slots = new Int32Array(rowsMax * 2);
    this.#keys = new Uint32Array(rowsMax * KEY_STRIDE);
    this.#values = new Float64Array(rowsMax * VALUE_STRIDE);
    this.#used = new Uint8Array(rowsMax);
    this.#free = new Int32Array(rowsMax);
    this.ports = new PortSets(rowsMax);
  }

  get rowCount(): number {
    return this.#rows;
  }

  /** Flow records in the rows that are in the table now. */
  get eventCount(): number {
    return this.#events;
  }

  get isFull(): boolean {
    return this.#rows === this.rowsMax;
  }

  /** Rows from 0 to before this may be in use. */
  get rowsEnd(): number {
    return this.#highest;
  }

  isUsed(row: number): boolean {
    return this.#used[row] === 1;
  }

  /** Second of the flush wheel in which a row leaves: the same for both ends of a conversation, at every collector. */
  dueSecond(row: number, windowS: number): number {
    return this.conversationHash(row) % windowS;
  }

  /** Hash of what both ends of a conversation agree on, and every collector computes alike. */
  conversationHash(row: number): number {
    const at = row * KEY_STRIDE;
    let hash = 0x811c_9dc5 ^ (this.#keys[at + KEY_KIND]! >>> 8);
    for (let i = KEY_CLIENT; i <= KEY_PORT; i++) hash = mix(hash, this.#keys[at + i]!);
    return hash >>> 0;
  }

  role(row: number): number {
    return this.#keys[row * KEY_STRIDE + KEY_KIND]! & 0xff;
  }

  transport(row: number): number {
    return this.#keys[row * KEY_STRIDE + KEY_KIND]! >>> 8;
  }

  serverPort(row: number): number {
    return this.#keys[row * KEY_STRIDE + KEY_PORT]!;
  }

  /** Minute since 1970 UTC in which the row's periods begin. */
  minute(row: number): number {
    return this.#keys[row * KEY_STRIDE + KEY_MINUTE]!;
  }

  /** Writes 16 bytes in network order. */
  copyClient(row: number, out: DataView, at: number): void {
    for (let i = 0; i < 4; i++) out.setUint32(at + 4 * i, this.#keys[row * KEY_STRIDE + KEY_CLIENT + i]!);
  }

  copyServer(row: number, out: DataView, at: number): void {
    for (let i = 0; i < 4; i++) out.setUint32(at + 4 * i, this.#keys[row * KEY_STRIDE + KEY_SERVER + i]!);
  }

  /** @param place One of `VALUE`. */
  value(row: number, place: number): number {
    return this.#values[row * VALUE_STRIDE + place]!;
  }

  /** Adds the `skyfall_flow` at `at`, which was checked before, to its row. The table must not be full. */
  add(view: DataView, at: number, group: number, identity: number): void {
    const localPort = view.getUint32(at + F.local_port.offset), remotePort = view.getUint32(at + F.remote_port.offset);
    const role = view.getUint32(at + F.role.offset);
    const isClient = role === ROLE_CLIENT || role !== ROLE_SERVER && isServicePort(remotePort, localPort);
    const local = at + F.local_address.offset, remote = at + F.remote_address.offset;
    this.#fillKey(
      view,
      group,
      view.getUint32(at + F.transport_protocol.offset) << 8 | role,
      isClient ? local : remote,
      isClient ? remote : local,
      isClient ? remotePort : localPort,
    );
    this.#fillMinutes(getUint64(view, at + F.period_start_unix_us.offset), getUint64(view, at + F.period_end_unix_us.offset));
    const row = this.#findOrAdd();
    this.#addValues(view, at, row * VALUE_STRIDE, isClient, identity);
    const clientPort = isClient ? localPort : remotePort;
    if (clientPort !== 0) this.ports.add(row, clientPort); // 0: an attempt that failed before it had a port
    this.#events++;
  }

  /** Takes a row out of the table. */
  remove(row: number): void {
    this.#events -= this.value(row, VALUE.event_count);
    this.#unlink(row);
    this.ports.clear(row);
    this.#used[row] = 0;
    this.#free[this.#freeCount++] = row;
    this.#rows--;
  }

  #fillKey(view: DataView, group: number, kind: number, client: number, server: number, port: number): void {
    const key = this.#key;
    key[KEY_GROUP] = group;
    key[KEY_KIND] = kind;
    for (let i = 0; i < 4; i++) {
      key[KEY_CLIENT + i] = view.getUint32(client + 4 * i);
      key[KEY_SERVER + i] = view.getUint32(server + 4 * i);
    }
    key[KEY_PORT] = port;
  }

  /** Those of one minute add up; one that goes on over several is kept apart, so that nobody takes it for one minute's. */
  #fillMinutes(startUs: number, endUs: number): void {
    const minute = Math.floor(startUs / MINUTE_US);
    this.#key[KEY_MINUTE] = minute;
    this.#key[KEY_MINUTES_ON] = Math.max(0, Math.floor((endUs - LATE_US) / MINUTE_US) - minute);
  }

  #findOrAdd(): number {
    const key = this.#key;
    let hash = this.#seed;
    for (let i = 0; i < KEY_WORDS; i++) hash = mix(hash, key[i]!);
    hash >>>= 0;
    let slot = hash & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const row = this.#slots[slot]! - 1;
      if (this.#keys[row * KEY_STRIDE + KEY_HASH] === hash && this.#equals(row)) return row;
    }
    const row = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#highest++;
    this.#slots[slot] = row + 1;
    this.#keys.set(key, row * KEY_STRIDE);
    this.#keys[row * KEY_STRIDE + KEY_HASH] = hash;
    this.#values.fill(0, row * VALUE_STRIDE, (row + 1) * VALUE_STRIDE);
    this.#used[row] = 1;
    this.#rows++;
    return row;
  }

  #equals(row: number): boolean {
    const at = row * KEY_STRIDE;
    for (let i = 0; i < KEY_WORDS; i++) if (this.#keys[at + i] !== this.#key[i]) return false;
    return true;
  }

  /** Closes the gap in the run of slots behind, so that no probe ends early. */
  #unlink(row: number): void {
    const hashOf = (slot: number) => this.#keys[(this.#slots[slot]! - 1) * KEY_STRIDE + KEY_HASH]!;
    let gap = this.#keys[row * KEY_STRIDE + KEY_HASH]! & this.#mask;
    while (this.#slots[gap] !== row + 1) gap = (gap + 1) & this.#mask;
    for (let slot = (gap + 1) & this.#mask; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = hashOf(slot) & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - gap) & this.#mask)) continue;
      this.#slots[gap] = this.#slots[slot]!;
      gap = slot;
    }
    this.#slots[gap] = 0;
  }

  #addValues(view: DataView, at: number, to: number, isClient: boolean, identity: number): void {
    const v = this.#values;
    const tx = getUint64(view, at + F.tx_bytes.offset), rx = getUint64(view, at + F.rx_bytes.offset);
    const txSegments = view.getUint32(at + F.tx_segments.offset), rxSegments = view.getUint32(at + F.rx_segments.offset);
    v[to + VALUE.bytes_sent]! += isClient ? tx : rx;
    v[to + VALUE.bytes_received]! += isClient ? rx : tx;
    v[to + VALUE.segments_sent]! += isClient ? txSegments : rxSegments;
    v[to + VALUE.segments_received]! += isClient ? rxSegments : txSegments;
    v[to + VALUE.retransmits]! += view.getUint32(at + F.retrans_segments.offset);
    v[to + VALUE.bytes_retrans]! += getUint64(view, at + F.retrans_bytes.offset);
    v[to + VALUE.lost]! += view.getUint32(at + F.lost_segments.offset);
    v[to + VALUE.reordering_seen]! += view.getUint32(at + F.reordering_count.offset);
    v[to + VALUE.busy_us]! += view.getUint32(at + F.busy_us.offset);
    v[to + VALUE.rwnd_limited_us]! += view.getUint32(at + F.rwnd_limited_us.offset);
    v[to + VALUE.sndbuf_limited_us]! += view.getUint32(at + F.sndbuf_limited_us.offset);
    if (view.getUint32(at + F.amounts_known.offset) !== AMOUNTS_KNOWN) v[to + VALUE.amounts_unknown]!++;
    this.#addConnections(view, at, to);
    this.#addQuality(view, at, to);
    const start = getUint64(view, at + F.period_start_unix_us.offset), end = getUint64(view, at + F.period_end_unix_us.offset);
    const isFirst = v[to + VALUE.event_count] === 0;
    if (isFirst || start < v[to + VALUE.window_start]!) v[to + VALUE.window_start] = start;
    if (end > v[to + VALUE.window_end]!) v[to + VALUE.window_end] = end;
    v[to + VALUE.identity] = identity;
    v[to + VALUE.role_source] = strongest(v[to + VALUE.role_source]!, view.getUint32(at + F.role_source.offset));
    v[to + VALUE.attribution_source] = strongestAttribution(
      v[to + VALUE.attribution_source]!,
      view.getUint32(at + F.attribution_source.offset),
    );
    v[to + VALUE.event_count]!++;
  }

  #addConnections(view: DataView, at: number, to: number): void {
    const v = this.#values;
    v[to + VALUE.connections_opened]! += view.getUint32(at + F.opened_count.offset);
    switch (view.getUint32(at + F.end_reason.offset)) {
      case END.resetLocal:
      case END.resetRemote:
        v[to + VALUE.connections_reset]!++;
        v[to + VALUE.connections_closed]!++;
        return;
      case END.timeout:
        v[to + VALUE.connections_timed_out]!++;
        v[to + VALUE.connections_closed]!++;
        return;
      case END.closedLocal:
      case END.closedRemote:
        v[to + VALUE.connections_closed]!++;
        return;
      case END.refused:
        v[to + VALUE.connections_failed_refused]!++;
        return;
      case END.connectTimeout:
        v[to + VALUE.connections_failed_timeout]!++;
        return;
      case END.unreachable:
        v[to + VALUE.connections_failed_unreachable]!++;
        return;
      case END.connectAborted:
      case END.connectFailed:
        v[to + VALUE.connections_failed_other]!++;
        return;
    }
  }

  #addQuality(view: DataView, at: number, to: number): void {
    const v = this.#values;
    const srtt = view.getUint32(at + F.srtt_us.offset), minRtt = view.getUint32(at + F.min_rtt_us.offset);
    if (srtt > 0) {
      const cwnd = view.getUint32(at + F.snd_cwnd_segments.offset);
      const isFirst = v[to + VALUE.srtt_samples] === 0;
      v[to + VALUE.srtt_us_sum]! += srtt;
      v[to + VALUE.srtt_samples]!++;
      if (isFirst || srtt < v[to + VALUE.srtt_us_min]!) v[to + VALUE.srtt_us_min] = srtt;
      if (srtt > v[to + VALUE.srtt_us_max]!) v[to + VALUE.srtt_us_max] = srtt;
      v[to + VALUE.rttvar_us_sum]! += view.getUint32(at + F.rttvar_us.offset);
      v[to + VALUE.snd_cwnd_sum]! += cwnd;
      if (isFirst || cwnd < v[to + VALUE.snd_cwnd_min]!) v[to + VALUE.snd_cwnd_min] = cwnd;
    }
    if (minRtt > 0 && (v[to + VALUE.min_rtt_us] === 0 || minRtt < v[to + VALUE.min_rtt_us]!)) v[to + VALUE.min_rtt_us] = minRtt;
    const connect = view.getUint32(at + F.connect_us.offset);
    if (connect > 0) {
      v[to + VALUE.connect_us_sum]! += connect;
      v[to + VALUE.connect_samples]!++;
      if (connect > v[to + VALUE.connect_us_max]!) v[to + VALUE.connect_us_max] = connect;
    }
  }
}

/** Evidence is numbered from the strongest, 1, to the weakest; 0 is none. */
function strongest(a: number, b: number): number {
  return a === 0 || b !== 0 && b < a ? b : a;
}

/** As `strongest()`, but that accept(2), numbered last, is as strong as connect(2); no row has both. */
function strongestAttribution(a: number, b: number): number {
  return a === ATTRIBUTION_ACCEPT || b === ATTRIBUTION_ACCEPT ? ATTRIBUTION_ACCEPT : strongest(a, b);
}

function getUint64(view: DataView, at: number): number {
  return view.getUint32(at) * 4_294_967_296 + view.getUint32(at + 4);
}

/** Where nothing else tells, the lower port is the service; 0 is no port, but one that is not known. */
function isServicePort(port: number, other: number): boolean {
  return port !== 0 && (other === 0 || port < other);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1);
  return mixed ^ mixed >>> 15;
}
