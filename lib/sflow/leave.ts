/** The datagram by which a collector that is about to stop tells an agent to send elsewhere; docs/reference/lanes.md. */

import { timingSafeEqual } from "node:crypto";
import { getUint64Be, setUint64Be } from "../u64.ts";
import type { SharedKey } from "./authentication.ts";

/*
 * In XDR, from the socket that the agent's datagrams came to, to the address and port that they came from:
 *
 *   struct skyfall_leave {
 *     unsigned int magic;          "SKLV"
 *     unsigned int key_id;         as in skyfall_authentication; 0 where it is not signed
 *     unsigned hyper sent_unix_us;
 *     opaque mac[16];              only where it is signed: first half of HMAC-SHA-256 over the bytes before it, and the
 *   };                             agent's address (16 bytes, IPv4 mapped) and port (a word)
 */
const MAGIC = 0x534b_4c56;
const KEY_ID_AT = 4, SENT_AT = 8, MAC_AT = 16, MAC_BYTES = 16;
/** A signed one that is older, or younger than now, says nothing: it may be somebody's recording. */
const AGE_US_MAX = 30_000_000;

/** An agent's end: 16 bytes, IPv4 mapped, and port. */
export interface AgentEnd {
  readonly address: Uint8Array;
  readonly port: number;
}

/** What to send to an agent: one that is signed for each key, as the agent may have any of them; without keys, one that is not. */
export function encodeLeave(keys: readonly SharedKey[], to: AgentEnd, sentUnixUs: number): Uint8Array<ArrayBuffer>[] {
  if (keys.length === 0) return [head(0, sentUnixUs)];
  return keys.map((key) => {
    const start = head(key.id, sentUnixUs), signed = new Uint8Array(MAC_AT + MAC_BYTES);
    signed.set(start);
    signed.set(key.mac(authenticated(start, to)), MAC_AT);
    return signed;
  });
}

/**
 * Whether an agent is to go by a datagram that came back from a collector.
 *
 * @param key Of an agent that has one; it goes by what is signed with it, and only for a while.
 */
export function isLeave(bytes: Uint8Array<ArrayBuffer>, key: SharedKey | null, to: AgentEnd, nowUnixUs: number): boolean {
  if (bytes.length !== MAC_AT && bytes.length !== MAC_AT + MAC_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) return false;
  if (key === null) return true;
  if (bytes.length === MAC_AT || Math.abs(nowUnixUs - getUint64Be(view, SENT_AT)) > AGE_US_MAX) return false;
  return timingSafeEqual(key.mac(authenticated(bytes.subarray(0, MAC_AT), to)), bytes.subarray(MAC_AT));
}

function head(keyId: number, sentUnixUs: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(MAC_AT), view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(KEY_ID_AT, keyId);
  setUint64Be(view, SENT_AT, sentUnixUs);
  return bytes;
}

/** No datagram of an agent begins like this, so that none of their signatures is good here. */
function authenticated(start: Uint8Array, { address, port }: AgentEnd): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(MAC_AT + 16 + 4);
  bytes.set(start);
  bytes.set(address, MAC_AT);
  new DataView(bytes.buffer).setUint32(MAC_AT + 16, port);
  return bytes;
}
