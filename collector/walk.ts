/**
 * Walks the samples and records of an sFlow version 5 datagram (sflow_version_5.txt, section 5) without an allocation.
 *
 * Six rules keep any input harmless. No count of the wire allocates or ends a loop alone. A length is compared with what
 * is left, never added first. A child ends where its parent ends, and the parent goes on at its own next offset. Rounding
 * up to 4 stays within the parent. A bad record costs that record, a bad sample that sample. Every step moves on by at
 * least 8 bytes, so that 64 KiB take at most 8,192 steps.
 */

import {
  ADDRESS_TYPE_IPV4,
  ADDRESS_TYPE_IPV6,
  COUNTERS_SAMPLE,
  COUNTERS_SAMPLE_EXPANDED,
  FLOW_SAMPLE,
  FLOW_SAMPLE_EXPANDED,
  SFLOW_VERSION,
} from "../lib/sflow/datagram.ts";

/** What can be wrong with a datagram's structure. */
export type MalformedReason =
  | "truncated"
  | "header_cut"
  | "version"
  | "agent_address_type"
  | "sample_length"
  | "sample_cut"
  | "sample_count"
  | "record_length"
  | "record_count"
  | "trailing_bytes";

/** Gets the parts of a datagram in order. Offsets are into the view; bodies start behind tag and length. */
export interface DatagramSink {
  /** @param addressBytes 4 or 16 bytes of agent address at `addressAt`. */
  onDatagram(addressAt: number, addressBytes: number, subAgentId: number, sequenceNumber: number, uptimeMs: number): boolean;
  /** @returns Whether the sample's records are wanted. */
  onSample(tag: number, at: number, bytes: number): boolean;
  onRecord(sampleTag: number, tag: number, at: number, bytes: number): void;
  onSampleEnd(tag: number): void;
  /** The part around `at` is left out; what is well-formed before and, where its place is known, behind it is not. */
  onMalformed(reason: MalformedReason, at: number): void;
}

const WORD = 4;
const TAG_AND_LENGTH = 8;
/** Bytes of a sample before its records, the record count last. */
const FLOW_FIXED = 32, FLOW_EXPANDED_FIXED = 44, COUNTERS_FIXED = 12, COUNTERS_EXPANDED_FIXED = 16;

/** Walks the datagram in `view` from `start` to before `end`. */
export function walkDatagram(view: DataView, start: number, end: number, sink: DatagramSink): void {
  if (end - start < 2 * WORD) return sink.onMalformed("header_cut", start);
  if (view.getUint32(start) !== SFLOW_VERSION) return sink.onMalformed("version", start);
  const addressType = view.getUint32(start + WORD);
  if (addressType !== ADDRESS_TYPE_IPV4 && addressType !== ADDRESS_TYPE_IPV6) return sink.onMalformed("agent_address_type", start + WORD);
  const addressAt = start + 2 * WORD, addressBytes = addressType === ADDRESS_TYPE_IPV4 ? 4 : 16;
  const at = addressAt + addressBytes;
  if (end - start < 2 * WORD + addressBytes + 4 * WORD) return sink.onMalformed("header_cut", start);
  if (!sink.onDatagram(addressAt, addressBytes, view.getUint32(at), view.getUint32(at + WORD), view.getUint32(at + 2 * WORD))) return;
  walkSamples(view, at + 4 * WORD, end, view.getUint32(at + 3 * WORD), sink);
}

function walkSamples(view: DataView, start: number, end: number, count: number, sink: DatagramSink): void {
  let at = start;
  for (let i = 0; i < count; i++) {
    if (end - at < TAG_AND_LENGTH) return sink.onMalformed("sample_count", at);
    const tag = view.getUint32(at), bytes = view.getUint32(at + WORD), body = at + TAG_AND_LENGTH;
    if (bytes > end - body) return sink.onMalformed("sample_length", at);
    walkSample(view, tag, body, bytes, sink);
    at = Math.min(end, body + roundUp(bytes));
  }
  if (at < end) sink.onMalformed("trailing_bytes", at);
}

function walkSample(view: DataView, tag: number, at: number, bytes: number, sink: DatagramSink): void {
  const fixed = fixedBytes(tag);
  if (fixed > bytes) return sink.onMalformed("sample_cut", at);
  if (!sink.onSample(tag, at, bytes) || fixed === 0) return;
  walkRecords(view, tag, at + fixed, at + bytes, view.getUint32(at + fixed - WORD), sink);
  sink.onSampleEnd(tag);
}

function walkRecords(view: DataView, sampleTag: number, start: number, end: number, count: number, sink: DatagramSink): void {
  let at = start;
  for (let i = 0; i < count; i++) {
    if (end - at < TAG_AND_LENGTH) return sink.onMalformed("record_count", at);
    const tag = view.getUint32(at), bytes = view.getUint32(at + WORD), body = at + TAG_AND_LENGTH;
    if (bytes > end - body) return sink.onMalformed("record_length", at);
    sink.onRecord(sampleTag, tag, body, bytes);
    at = Math.min(end, body + roundUp(bytes));
  }
}

/** 0 for samples whose inside is not known. */
function fixedBytes(tag: number): number {
  switch (tag) {
    case FLOW_SAMPLE:
      return FLOW_FIXED;
    case FLOW_SAMPLE_EXPANDED:
      return FLOW_EXPANDED_FIXED;
    case COUNTERS_SAMPLE:
      return COUNTERS_FIXED;
    case COUNTERS_SAMPLE_EXPANDED:
      return COUNTERS_EXPANDED_FIXED;
    default:
      return 0;
  }
}

/** Up to the next multiple of 4; lengths are below 65,536 here, as they were compared with what is left. */
function roundUp(bytes: number): number {
  return (bytes + 3) & ~3;
}
