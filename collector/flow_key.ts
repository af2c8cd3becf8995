/** What a row's key is made of, and what is read from a `skyfall_flow` for it. */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { getUint64Be, setUint64Be } from "../lib/u64.ts";
import { KEY } from "./flow_rows.ts";
import { mix } from "./hash.ts";

const F = SKYFALL_FLOW.fields;

export const TRANSPORT_TCP = 6, TRANSPORT_UDP = 17;

/** Fields of a key's kind word, from its lowest bit: minutes after the first, UDP, role, fold, server port. */
export const MINUTES_ON_MAX = 1_023, UDP_SHIFT = 10, ROLE_SHIFT = 11, FOLD_SHIFT = 13, PORT_SHIFT = 16;

export function fillAddresses(key: Uint32Array, view: DataView, client: number, server: number, words: number): void {
  if (words === 1) {
    key[KEY.client] = view.getUint32(client + 12);
    key[KEY.client + 1] = view.getUint32(server + 12);
    return;
  }
  for (let i = 0; i < 4; i++) {
    key[KEY.client + i] = view.getUint32(client + 4 * i);
    key[KEY.client + 4 + i] = view.getUint32(server + 4 * i);
  }
}

/** Over transport, client, server and port, addresses as of IPv6; those of the key are in `words` from `at`. */
export function hashConversation(kind: number, words: Uint32Array, at: number, addressWords: number): number {
  let hash = 0x811c_9dc5 ^ ((kind >>> UDP_SHIFT & 1) === 1 ? TRANSPORT_UDP : TRANSPORT_TCP);
  for (let end = 0; end < 2; end++) {
    if (addressWords === 1) hash = mix(mix(mix(mix(hash, 0), 0), 0xffff), words[at + end]!);
    else for (let i = 0; i < 4; i++) hash = mix(hash, words[at + 4 * end + i]!);
  }
  return mix(hash, kind >>> PORT_SHIFT) >>> 0;
}

export function isMapped(view: DataView, at: number): boolean {
  return (view.getUint32(at) | view.getUint32(at + 4) | view.getUint32(at + 8) ^ 0xffff) === 0;
}

export function bytesOf(view: DataView, at: number): number {
  return getUint64Be(view, at + F.tx_bytes.offset) + getUint64Be(view, at + F.rx_bytes.offset);
}

/** Fields that lanes may not hold beside others. */
const RARE_U32 = [F.reordering_count, F.rwnd_limited_us, F.sndbuf_limited_us, F.busy_us];
const SEGMENTS_U32 = [F.tx_segments, F.rx_segments, F.retrans_segments, F.lost_segments, F.snd_cwnd_segments];
const SEGMENTS_MAX = 0xffff;
/** With what of a minute has passed before it, less than the 32 bits of a lane. */
const PERIOD_US_MAX = 4_200_000_000;

/** Copies a flow without what only a wide form holds. */
export function simplify(view: DataView, at: number, out: DataView): void {
  for (let i = 0; i < SKYFALL_FLOW.fixedSize; i += 4) out.setUint32(i, view.getUint32(at + i));
  out.setUint32(F.retrans_bytes.offset, 0);
  out.setUint32(F.retrans_bytes.offset + 4, 0);
  for (const { offset } of RARE_U32) out.setUint32(offset, 0);
  for (const { offset } of SEGMENTS_U32) out.setUint32(offset, Math.min(out.getUint32(offset), SEGMENTS_MAX));
  out.setUint32(F.tx_bytes.offset, 0);
  out.setUint32(F.rx_bytes.offset, 0);
  const start = getUint64Be(view, at + F.period_start_unix_us.offset), end = getUint64Be(view, at + F.period_end_unix_us.offset);
  setUint64Be(out, F.period_end_unix_us.offset, Math.min(end, start + PERIOD_US_MAX));
}

/** Where nothing else tells, the lower port is the service; 0 is no port, but one that is not known. */
export function isServicePort(port: number, other: number): boolean {
  return port !== 0 && (other === 0 || port < other);
}
