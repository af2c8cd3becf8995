/** Decides which datagrams are taken in: by the sender's address, its rate, and, where a key is set, its signature. */

import { type AddressRange, parseAddressRange } from "../lib/ip_address.ts";
import { type SharedKey, verify } from "../lib/sflow/authentication.ts";
import { ADDRESS_TYPE_IPV4 } from "../lib/sflow/datagram.ts";
import { ReplayWindows } from "./replay_windows.ts";
import { SourceRates } from "./source_rates.ts";

/** What was refused, by reason. */
export interface RefusalCounts {
  /** The sender's address is not allowed. */
  datagrams_refused_source: number;
  /** The sender sent more than one sender may. */
  datagrams_refused_rate: number;
  /** No signature, or one that none of the keys has made. */
  datagrams_refused_unauthenticated: number;
  /** Signed, but it came before, or was sent too long ago. */
  datagrams_refused_replayed: number;
}

/** What is allowed by default: private, loopback and link-local addresses (RFC 1918, 5735, 3927, 4193, 4291). */
export const DEFAULT_ALLOWED = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
].map(parseAddressRange);

export interface AdmissionRules {
  readonly allowed: readonly AddressRange[];
  /** Datagrams a second of one sender at one worker. */
  readonly sourceLimit: number;
  /** Empty where datagrams need no signature. */
  readonly keys: readonly SharedKey[];
  readonly enterprise: number;
}

/** Words of an address. */
const WORDS = 4;
/** Least bytes of a head that has a sequence number. */
const HEAD_BYTES = 28;

/** Allocates nothing for a datagram, but where signatures are looked at. */
export class Admission {
  readonly counts: RefusalCounts = {
    datagrams_refused_source: 0,
    datagrams_refused_rate: 0,
    datagrams_refused_unauthenticated: 0,
    datagrams_refused_replayed: 0,
  };
  #rules: AdmissionRules;
  /** Of each range, the words of its address and of its mask. */
  #ranges: Uint32Array;
  #rates: SourceRates;
  readonly #replays = new ReplayWindows();
  /** The sender of the last datagram that was allowed; most come in rows. */
  readonly #lastAllowed = new Uint32Array(WORDS);

  constructor(rules: AdmissionRules) {
    this.#rules = rules;
    this.#ranges = rangeTable(rules.allowed);
    this.#rates = new SourceRates(rules.sourceLimit);
  }

  /** Puts other rules into force; what is known of replays stays, and of rates where their limit does. */
  setRules(rules: AdmissionRules): void {
    if (rules.sourceLimit !== this.#rules.sourceLimit) this.#rates = new SourceRates(rules.sourceLimit);
    this.#rules = rules;
    this.#ranges = rangeTable(rules.allowed);
    this.#lastAllowed.fill(0);
  }

  /**
   * Whether to take in the datagram of `bytes` bytes at `at`; where not, that is counted.
   *
   * @param source Four words in network order, IPv4 mapped.
   */
  admits(source: Uint32Array, data: Uint8Array<ArrayBuffer>, at: number, bytes: number, receivedUnixMs: number): boolean {
    if (!this.#isAllowed(source)) return this.#refuse("datagrams_refused_source");
    if (!this.#rates.take(source, receivedUnixMs)) return this.#refuse("datagrams_refused_rate");
    const { keys, enterprise } = this.#rules;
    if (keys.length === 0) return true;
    const datagram = data.subarray(at, at + bytes);
    const signature = verify(datagram, keys, enterprise);
    if (signature === null || bytes < HEAD_BYTES) return this.#refuse("datagrams_refused_unauthenticated");
    const head = readHead(datagram);
    return this.#replays.isNew(head.stream, signature, head.sequenceNumber, receivedUnixMs) || this.#refuse("datagrams_refused_replayed");
  }

  #refuse(reason: keyof RefusalCounts): false {
    this.counts[reason]++;
    return false;
  }

  #isAllowed(source: Uint32Array): boolean {
    const last = this.#lastAllowed, ranges = this.#ranges;
    if (source[0] === last[0] && source[1] === last[1] && source[2] === last[2] && source[3] === last[3]) return true;
    for (let at = 0; at < ranges.length; at += 2 * WORDS) {
      let differs = 0;
      for (let i = 0; i < WORDS; i++) differs |= (source[i]! ^ ranges[at + i]!) & ranges[at + WORDS + i]!;
      if (differs !== 0) continue;
      last.set(source);
      return true;
    }
    return false;
  }
}

/** The stream of a datagram that is signed, and so well-formed, and its number in it. */
function readHead(datagram: Uint8Array<ArrayBuffer>): { readonly stream: string; readonly sequenceNumber: number } {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const end = view.getUint32(4) === ADDRESS_TYPE_IPV4 ? 16 : 28; // behind the address and the sub-agent
  return { stream: datagram.subarray(8, end).toHex(), sequenceNumber: view.getUint32(end) };
}

function rangeTable(ranges: readonly AddressRange[]): Uint32Array {
  const table = new Uint32Array(ranges.length * 2 * WORDS);
  for (const [i, { address, prefixBits }] of ranges.entries()) {
    const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
    for (let word = 0; word < WORDS; word++) {
      const bits = Math.min(32, Math.max(0, prefixBits - 32 * word));
      table[2 * WORDS * i + word] = view.getUint32(4 * word);
      table[2 * WORDS * i + WORDS + word] = bits === 0 ? 0 : -1 << (32 - bits);
    }
  }
  return table;
}
