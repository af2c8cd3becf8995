/**
 * What a row adds up, in two forms. Most rows are of few, small events: theirs are lanes of 32, 16 and 8 bits, 80 bytes in
 * all. A row that outgrows a lane, or has what no lane is for, goes on in a wide form of doubles.
 */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { getUint64Be } from "../lib/u64.ts";

const F = SKYFALL_FLOW.fields;

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
  late_count: 37,
} as const;
export const VALUE_COUNT = 38;

/** `skyfall_flow.end_reason`, by number: whether a connection closed, and what else is counted (a place of `VALUE`, or -1). */
const END_CLOSES = Uint8Array.of(0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0);
const END_PLACE = Int8Array.of(
  -1,
  -1,
  -1,
  VALUE.connections_reset,
  VALUE.connections_reset,
  VALUE.connections_timed_out,
  VALUE.connections_failed_refused,
  VALUE.connections_failed_timeout,
  VALUE.connections_failed_unreachable,
  VALUE.connections_failed_other,
  VALUE.connections_failed_other,
);

/** Both bits of `skyfall_flow.amounts_known`. */
const AMOUNTS_KNOWN = 3;
/** `skyfall_flow.attribution_source`: accept(2). */
const ATTRIBUTION_ACCEPT = 6;

const MINUTE_US = 60_000_000;
const UINT32_MAX = 0xffff_ffff, UINT16_MAX = 0xffff;

/** Words of the lanes; halves and bytes count from the same start. */
export const LANE_WORDS = 21;
/** Lanes of 32 bits. The first holds the place in the wide form of a row that has one. */
const SENT = 0, RECEIVED = 1, START = 2, END = 3, IDENTITY = 4, SRTT_SUM = 5, SRTT_MIN = 6, SRTT_MAX = 7, RTTVAR_SUM = 8, MIN_RTT = 9;
const CONNECT_SUM = 10, CONNECT_MAX = 11, BUSY = 12;
/** Lanes of 16 bits. */
const CWND_SUM = 26, CWND_MIN = 27, SEGMENTS_SENT = 28, SEGMENTS_RECEIVED = 29, OPENED = 30, CLOSED = 31, CONNECT_SAMPLES = 32;
const SRTT_SAMPLES = 33, EVENTS = 34, LATE = 35, RETRANSMITS = 36, LOST = 37, AMOUNTS_UNKNOWN = 38, ENDS = 39;
/** Lanes of 8 bits: both sources; the one way of ending that `ENDS` counts, plus 1; and flags. */
const SOURCES = 80, END_KIND = 81, FLAGS = 82;
const FLAG_WIDE = 1, FLAG_DETACHED = 2;

/** Lane of a place: words as they are, halves from `LANE_HALF`, -1 where there is none or it needs more than a look. */
export const LANE_HALF = 100;
export const LANES = Int16Array.from({ length: VALUE_COUNT }, () => -1);
LANES[VALUE.bytes_sent] = SENT;
LANES[VALUE.bytes_received] = RECEIVED;
LANES[VALUE.identity] = IDENTITY;
LANES[VALUE.srtt_us_sum] = SRTT_SUM;
LANES[VALUE.srtt_us_min] = SRTT_MIN;
LANES[VALUE.srtt_us_max] = SRTT_MAX;
LANES[VALUE.rttvar_us_sum] = RTTVAR_SUM;
LANES[VALUE.min_rtt_us] = MIN_RTT;
LANES[VALUE.connect_us_sum] = CONNECT_SUM;
LANES[VALUE.connect_us_max] = CONNECT_MAX;
LANES[VALUE.busy_us] = BUSY;
LANES[VALUE.snd_cwnd_sum] = LANE_HALF + CWND_SUM;
LANES[VALUE.snd_cwnd_min] = LANE_HALF + CWND_MIN;
LANES[VALUE.segments_sent] = LANE_HALF + SEGMENTS_SENT;
LANES[VALUE.segments_received] = LANE_HALF + SEGMENTS_RECEIVED;
LANES[VALUE.connections_opened] = LANE_HALF + OPENED;
LANES[VALUE.connections_closed] = LANE_HALF + CLOSED;
LANES[VALUE.connect_samples] = LANE_HALF + CONNECT_SAMPLES;
LANES[VALUE.srtt_samples] = LANE_HALF + SRTT_SAMPLES;
LANES[VALUE.event_count] = LANE_HALF + EVENTS;
LANES[VALUE.late_count] = LANE_HALF + LATE;
LANES[VALUE.retransmits] = LANE_HALF + RETRANSMITS;
LANES[VALUE.lost] = LANE_HALF + LOST;
LANES[VALUE.amounts_unknown] = LANE_HALF + AMOUNTS_UNKNOWN;

/** The memory of rows, in three widths, and their wide forms. */
export interface RowMemory {
  readonly words: Uint32Array<ArrayBuffer>;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly wide: Float64Array;
}

/** One `skyfall_flow` that is to be added. */
export interface FlowEvent {
  view: DataView;
  /** Where the structure begins. */
  at: number;
  /** Whether the local end is the client. */
  isClient: boolean;
  identity: number;
  /** Whether it came long after its period. */
  isLate: boolean;
  /** Minute of the row that it goes to. */
  minute: number;
}

/** Whether the row whose lanes begin at word `w` has a wide form. */
export function isWide(memory: RowMemory, w: number): boolean {
  return (memory.bytes[4 * w + FLAGS]! & FLAG_WIDE) !== 0;
}

export function widePlace(memory: RowMemory, w: number): number {
  return memory.words[w + SENT]!;
}

/** Whether new events no longer find the row. */
export function isDetached(memory: RowMemory, w: number): boolean {
  return (memory.bytes[4 * w + FLAGS]! & FLAG_DETACHED) !== 0;
}

export function detach(memory: RowMemory, w: number): void {
  memory.bytes[4 * w + FLAGS]! |= FLAG_DETACHED;
}

/** @param minute Minute of the row. */
export function readValue(memory: RowMemory, w: number, place: number, minute: number): number {
  if (isWide(memory, w)) return memory.wide[widePlace(memory, w) * VALUE_COUNT + place]!;
  const lane = LANES[place]!;
  if (lane >= LANE_HALF) return memory.halves[2 * w + lane - LANE_HALF]!;
  if (lane >= 0) return memory.words[w + lane]!;
  switch (place) {
    case VALUE.window_start:
      return minute * MINUTE_US + memory.words[w + START]!;
    case VALUE.window_end:
      return minute * MINUTE_US + memory.words[w + END]!;
    case VALUE.role_source:
      return memory.bytes[4 * w + SOURCES]! & 0x0f;
    case VALUE.attribution_source:
      return memory.bytes[4 * w + SOURCES]! >> 4;
    default:
      return memory.bytes[4 * w + END_KIND] === place + 1 ? memory.halves[2 * w + ENDS]! : 0;
  }
}

/** Rewrites the identity that a row refers to. */
export function writeIdentity(memory: RowMemory, w: number, identity: number): void {
  if (isWide(memory, w)) memory.wide[widePlace(memory, w) * VALUE_COUNT + VALUE.identity] = identity;
  else memory.words[w + IDENTITY] = identity;
}

/** Moves a row on to its wide form at `place`. */
export function widen(memory: RowMemory, w: number, place: number, minute: number): void {
  for (let i = 0; i < VALUE_COUNT; i++) memory.wide[place * VALUE_COUNT + i] = readValue(memory, w, i, minute);
  memory.words[w + SENT] = place;
  memory.bytes[4 * w + FLAGS]! |= FLAG_WIDE;
}

/** Adds to the lanes; false, and nothing added, where one would overflow or is missing. */
export function addNarrow(memory: RowMemory, w: number, event: FlowEvent): boolean {
  if (!fitsWords(memory, w, event) || !fitsHalves(memory, w, event)) return false;
  addAmounts(memory, w, event);
  addTimes(memory, w, event.view, event.at);
  return true;
}

/** Whether nothing is in the event that has no lane, and the lanes of 32 bits will hold the sums. */
function fitsWords({ words, bytes }: RowMemory, w: number, { view, at, isClient, minute }: FlowEvent): boolean {
  const upper = view.getUint32(at + F.tx_bytes.offset) | view.getUint32(at + F.rx_bytes.offset);
  const rare = view.getUint32(at + F.retrans_bytes.offset) | view.getUint32(at + F.retrans_bytes.offset + 4) |
    view.getUint32(at + F.reordering_count.offset) | view.getUint32(at + F.rwnd_limited_us.offset) |
    view.getUint32(at + F.sndbuf_limited_us.offset);
  if ((upper | rare) !== 0) return false;
  const endPlace = END_PLACE[view.getUint32(at + F.end_reason.offset)]!, endKind = bytes[4 * w + END_KIND]!;
  if (endPlace >= 0 && endKind !== 0 && endKind !== endPlace + 1) return false;
  const tx = view.getUint32(at + F.tx_bytes.offset + 4), rx = view.getUint32(at + F.rx_bytes.offset + 4);
  return words[w + SENT]! + (isClient ? tx : rx) <= UINT32_MAX && words[w + RECEIVED]! + (isClient ? rx : tx) <= UINT32_MAX &&
    getUint64Be(view, at + F.period_end_unix_us.offset) - minute * MINUTE_US <= UINT32_MAX &&
    words[w + SRTT_SUM]! + view.getUint32(at + F.srtt_us.offset) <= UINT32_MAX &&
    words[w + RTTVAR_SUM]! + view.getUint32(at + F.rttvar_us.offset) <= UINT32_MAX &&
    words[w + CONNECT_SUM]! + view.getUint32(at + F.connect_us.offset) <= UINT32_MAX &&
    words[w + BUSY]! + view.getUint32(at + F.busy_us.offset) <= UINT32_MAX;
}

/** Whether the lanes of 16 bits will hold the sums. */
function fitsHalves({ halves }: RowMemory, w: number, { view, at, isClient }: FlowEvent): boolean {
  const h = 2 * w, tx = view.getUint32(at + F.tx_segments.offset), rx = view.getUint32(at + F.rx_segments.offset);
  return halves[h + EVENTS]! < UINT16_MAX && halves[h + SEGMENTS_SENT]! + (isClient ? tx : rx) <= UINT16_MAX &&
    halves[h + SEGMENTS_RECEIVED]! + (isClient ? rx : tx) <= UINT16_MAX &&
    halves[h + RETRANSMITS]! + view.getUint32(at + F.retrans_segments.offset) <= UINT16_MAX &&
    halves[h + LOST]! + view.getUint32(at + F.lost_segments.offset) <= UINT16_MAX &&
    halves[h + CWND_SUM]! + view.getUint32(at + F.snd_cwnd_segments.offset) <= UINT16_MAX;
}

function addAmounts({ words, halves, bytes }: RowMemory, w: number, event: FlowEvent): void {
  const { view, at, isClient, minute } = event, h = 2 * w, b = 4 * w;
  const tx = view.getUint32(at + F.tx_bytes.offset + 4), rx = view.getUint32(at + F.rx_bytes.offset + 4);
  const txSegments = view.getUint32(at + F.tx_segments.offset), rxSegments = view.getUint32(at + F.rx_segments.offset);
  words[w + SENT]! += isClient ? tx : rx;
  words[w + RECEIVED]! += isClient ? rx : tx;
  halves[h + SEGMENTS_SENT]! += isClient ? txSegments : rxSegments;
  halves[h + SEGMENTS_RECEIVED]! += isClient ? rxSegments : txSegments;
  halves[h + RETRANSMITS]! += view.getUint32(at + F.retrans_segments.offset);
  halves[h + LOST]! += view.getUint32(at + F.lost_segments.offset);
  halves[h + OPENED]! += view.getUint32(at + F.opened_count.offset);
  if (view.getUint32(at + F.amounts_known.offset) !== AMOUNTS_KNOWN) halves[h + AMOUNTS_UNKNOWN]!++;
  if (event.isLate) halves[h + LATE]!++;
  const endReason = view.getUint32(at + F.end_reason.offset), endPlace = END_PLACE[endReason]!;
  halves[h + CLOSED]! += END_CLOSES[endReason]!;
  if (endPlace >= 0) {
    bytes[b + END_KIND] = endPlace + 1;
    halves[h + ENDS]!++;
  }
  const start = getUint64Be(view, at + F.period_start_unix_us.offset) - minute * MINUTE_US;
  const end = getUint64Be(view, at + F.period_end_unix_us.offset) - minute * MINUTE_US;
  if (halves[h + EVENTS]!++ === 0 || start < words[w + START]!) words[w + START] = start;
  if (end > words[w + END]!) words[w + END] = end;
  words[w + IDENTITY] = event.identity;
  const sources = bytes[b + SOURCES]!;
  bytes[b + SOURCES] = strongest(sources & 0x0f, view.getUint32(at + F.role_source.offset)) |
    strongestAttribution(sources >> 4, view.getUint32(at + F.attribution_source.offset)) << 4;
}

function addTimes({ words, halves }: RowMemory, w: number, view: DataView, at: number): void {
  const h = 2 * w, srtt = view.getUint32(at + F.srtt_us.offset);
  words[w + BUSY]! += view.getUint32(at + F.busy_us.offset);
  if (srtt > 0) {
    const cwnd = view.getUint32(at + F.snd_cwnd_segments.offset), isFirst = halves[h + SRTT_SAMPLES]!++ === 0;
    words[w + SRTT_SUM]! += srtt;
    words[w + RTTVAR_SUM]! += view.getUint32(at + F.rttvar_us.offset);
    halves[h + CWND_SUM]! += cwnd;
    if (isFirst || srtt < words[w + SRTT_MIN]!) words[w + SRTT_MIN] = srtt;
    if (srtt > words[w + SRTT_MAX]!) words[w + SRTT_MAX] = srtt;
    if (isFirst || cwnd < halves[h + CWND_MIN]!) halves[h + CWND_MIN] = cwnd;
  }
  const minRtt = view.getUint32(at + F.min_rtt_us.offset), least = words[w + MIN_RTT]!;
  if (minRtt > 0 && (least === 0 || minRtt < least)) words[w + MIN_RTT] = minRtt;
  const connect = view.getUint32(at + F.connect_us.offset);
  if (connect > 0) {
    words[w + CONNECT_SUM]! += connect;
    halves[h + CONNECT_SAMPLES]!++;
    if (connect > words[w + CONNECT_MAX]!) words[w + CONNECT_MAX] = connect;
  }
}

/** Adds to the wide form at `place`. */
export function addWide(wide: Float64Array, place: number, { view, at, isClient, identity, isLate }: FlowEvent): void {
  const to = place * VALUE_COUNT;
  const tx = getUint64Be(view, at + F.tx_bytes.offset), rx = getUint64Be(view, at + F.rx_bytes.offset);
  const txSegments = view.getUint32(at + F.tx_segments.offset), rxSegments = view.getUint32(at + F.rx_segments.offset);
  const endReason = view.getUint32(at + F.end_reason.offset), endPlace = END_PLACE[endReason]!;
  wide[to + VALUE.bytes_sent]! += isClient ? tx : rx;
  wide[to + VALUE.bytes_received]! += isClient ? rx : tx;
  wide[to + VALUE.segments_sent]! += isClient ? txSegments : rxSegments;
  wide[to + VALUE.segments_received]! += isClient ? rxSegments : txSegments;
  wide[to + VALUE.retransmits]! += view.getUint32(at + F.retrans_segments.offset);
  wide[to + VALUE.bytes_retrans]! += getUint64Be(view, at + F.retrans_bytes.offset);
  wide[to + VALUE.lost]! += view.getUint32(at + F.lost_segments.offset);
  wide[to + VALUE.reordering_seen]! += view.getUint32(at + F.reordering_count.offset);
  wide[to + VALUE.busy_us]! += view.getUint32(at + F.busy_us.offset);
  wide[to + VALUE.rwnd_limited_us]! += view.getUint32(at + F.rwnd_limited_us.offset);
  wide[to + VALUE.sndbuf_limited_us]! += view.getUint32(at + F.sndbuf_limited_us.offset);
  wide[to + VALUE.connections_opened]! += view.getUint32(at + F.opened_count.offset);
  wide[to + VALUE.connections_closed]! += END_CLOSES[endReason]!;
  if (endPlace >= 0) wide[to + endPlace]!++;
  if (view.getUint32(at + F.amounts_known.offset) !== AMOUNTS_KNOWN) wide[to + VALUE.amounts_unknown]!++;
  if (isLate) wide[to + VALUE.late_count]!++;
  addQuality(wide, to, view, at);
  const start = getUint64Be(view, at + F.period_start_unix_us.offset), end = getUint64Be(view, at + F.period_end_unix_us.offset);
  if (wide[to + VALUE.event_count]! === 0 || start < wide[to + VALUE.window_start]!) wide[to + VALUE.window_start] = start;
  if (end > wide[to + VALUE.window_end]!) wide[to + VALUE.window_end] = end;
  wide[to + VALUE.identity] = identity;
  wide[to + VALUE.role_source] = strongest(wide[to + VALUE.role_source]!, view.getUint32(at + F.role_source.offset));
  const attribution = view.getUint32(at + F.attribution_source.offset);
  wide[to + VALUE.attribution_source] = strongestAttribution(wide[to + VALUE.attribution_source]!, attribution);
  wide[to + VALUE.event_count]!++;
}

function addQuality(wide: Float64Array, to: number, view: DataView, at: number): void {
  const srtt = view.getUint32(at + F.srtt_us.offset), minRtt = view.getUint32(at + F.min_rtt_us.offset);
  if (srtt > 0) {
    const cwnd = view.getUint32(at + F.snd_cwnd_segments.offset);
    const isFirst = wide[to + VALUE.srtt_samples] === 0;
    wide[to + VALUE.srtt_us_sum]! += srtt;
    wide[to + VALUE.srtt_samples]!++;
    if (isFirst || srtt < wide[to + VALUE.srtt_us_min]!) wide[to + VALUE.srtt_us_min] = srtt;
    if (srtt > wide[to + VALUE.srtt_us_max]!) wide[to + VALUE.srtt_us_max] = srtt;
    wide[to + VALUE.rttvar_us_sum]! += view.getUint32(at + F.rttvar_us.offset);
    wide[to + VALUE.snd_cwnd_sum]! += cwnd;
    if (isFirst || cwnd < wide[to + VALUE.snd_cwnd_min]!) wide[to + VALUE.snd_cwnd_min] = cwnd;
  }
  if (minRtt > 0 && (wide[to + VALUE.min_rtt_us] === 0 || minRtt < wide[to + VALUE.min_rtt_us]!)) wide[to + VALUE.min_rtt_us] = minRtt;
  const connect = view.getUint32(at + F.connect_us.offset);
  if (connect > 0) {
    wide[to + VALUE.connect_us_sum]! += connect;
    wide[to + VALUE.connect_samples]!++;
    if (connect > wide[to + VALUE.connect_us_max]!) wide[to + VALUE.connect_us_max] = connect;
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
