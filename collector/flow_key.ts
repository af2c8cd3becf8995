/** What a row's key is made of, and what is read from a `skyfall_flow` for it. */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { getUint64Be, setUint64Be } from "../lib/u64.ts";
import { KEY } from "./flow_rows.ts";
import { mix } from "./hash.ts";

const F = SKYFALL_FLOW.fields;

export const TRANSPORT_TCP = 6, TRANSPORT_UDP = 17;

const MINUTES_ON_MAX = 1_023;
/** Fields of a key's kind word, from its lowest bit: minutes after the first, UDP, role, fold, server port. */
export const UDP_SHIFT = 10, ROLE_SHIFT = 11, FOLD_SHIFT = 13, PORT_SHIFT = 16;

export const ROLE_CLIENT = 1, ROLE_SERVER = 2;

export const MINUTE_US = 60_000_000;
/** A period that ends so little after its minute is that minute's: agents look at all their sockets one after the other. */
const LATE_US = 1_000_000;

/** Reads a flow's key; what it holds is that of the flow read last. */
export class KeyReader {
  isV4 = false;
  /** Whether the local end is the client. */
  isClient = false;
  /** Minute since 1970 UTC in which its period begins. */
  minute = 0;
  endUs = 0;
  /** 0 where it is not known. */
  clientPort = 0;
  readonly #keyV4 = new Uint32Array(KEY.client + 2);
  readonly #keyV6 = new Uint32Array(KEY.client + 8);

  /** The key of the `skyfall_flow` at `at`, with one word for each address where both are of IPv4. */
  read(view: DataView, at: number, group: number): Uint32Array {
    const localPort = view.getUint32(at + F.local_port.offset), remotePort = view.getUint32(at + F.remote_port.offset);
    const role = view.getUint32(at + F.role.offset);
    const isClient = this.isClient = role === ROLE_CLIENT || role !== ROLE_SERVER && isServicePort(remotePort, localPort);
    const minute = this.minute = Math.floor(getUint64Be(view, at + F.period_start_unix_us.offset) / MINUTE_US);
    this.endUs = getUint64Be(view, at + F.period_end_unix_us.offset);
    this.clientPort = isClient ? localPort : remotePort;

    const local = at + F.local_address.offset, remote = at + F.remote_address.offset;
    this.isV4 = isMapped(view, local) && isMapped(view, remote);
    const key = this.isV4 ? this.#keyV4 : this.#keyV6;
    key[KEY.group] = group;
    // Those of one minute add up; one that goes on over several is kept apart, so that nobody takes it for one minute's.
    const minutesOn = Math.max(0, Math.min(MINUTES_ON_MAX, Math.floor((this.endUs - LATE_US) / MINUTE_US) - minute));
    key[KEY.kind] = (isClient ? remotePort : localPort) << PORT_SHIFT | role << ROLE_SHIFT |
      (view.getUint32(at + F.transport_protocol.offset) === TRANSPORT_UDP ? 1 << UDP_SHIFT : 0) | minutesOn;
    key[KEY.minute] = minute;
    fillAddresses(key, view, isClient ? local : remote, isClient ? remote : local, this.isV4 ? 1 : 4);
    return key;
  }
}

function fillAddresses(key: Uint32Array, view: DataView, client: number, server: number, words: number): void {
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

function isMapped(view: DataView, at: number): boolean {
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
function isServicePort(port: number, other: number): boolean {
  return port !== 0 && (other === 0 || port < other);
}
