/** The addresses of another network namespace, as one of its processes sees them in /proc. */

import { readKernelFile } from "../ffi/libc.ts";
import { isMappedIpv4, parseAddress } from "../lib/ip_address.ts";
import { sameBytes } from "./addresses.ts";

const FILE_BYTES_MAX = 1 << 18;
const LOOPBACK = { ipv4: parseAddress("127.0.0.1"), ipv6: parseAddress("::1") };
/** Scope of a global address in /proc/net/if_inet6: include/net/ipv6.h, IPV6_ADDR_SCOPE_GLOBAL. */
const SCOPE_GLOBAL = "00";

/** Processes of a namespace that are asked for its addresses until one is still there. */
const ASKED_MAX = 16;

/** Addresses of one namespace, learned from the first of its processes that is there. */
export class NamespaceAddresses {
  #addresses: readonly Uint8Array[] = [];
  #asked = 0;

  read(pid: number): readonly Uint8Array[] {
    if (this.#addresses.length === 0 && this.#asked++ < ASKED_MAX) this.#addresses = readNamespaceAddresses(pid);
    return this.#addresses;
  }
}

/** Local addresses of the namespace of process `pid`, loopback left out; empty where the process is gone. */
export function readNamespaceAddresses(pid: number): Uint8Array[] {
  const read = (name: string) => new TextDecoder().decode(readKernelFile(`/proc/${pid}/net/${name}`, FILE_BYTES_MAX) ?? new Uint8Array(0));
  return [...parseFibTrie(read("fib_trie")), ...parseIfInet6(read("if_inet6"))];
}

/** IPv4 addresses of this namespace's own in proc(5)'s net/fib_trie: each stands in a line, its kind in the next. */
export function parseFibTrie(text: string): Uint8Array[] {
  const found = [...text.matchAll(/\|-- ([0-9.]+)\n\s+\/32 host LOCAL/g)].map((match) => match[1]!);
  return [...new Set(found)].filter((address) => !address.startsWith("127.")).map(parseAddress);
}

/** Global IPv6 addresses in proc(5)'s net/if_inet6: address, interface, prefix, scope, flags, name. */
export function parseIfInet6(text: string): Uint8Array[] {
  const rows = text.split("\n").map((line) => line.trim().split(/\s+/)).filter((row) => row[3] === SCOPE_GLOBAL);
  return rows.map(([address]) => Uint8Array.fromHex(address!));
}

/**
 * The address that a socket of every address speaks from to a peer: loopback to loopback, itself to itself, else the only
 * address that there is.
 *
 * @returns Null where there are several.
 */
export function sourceAmong(addresses: readonly Uint8Array[], peer: Uint8Array): Uint8Array | null {
  const isIpv4 = isMappedIpv4(peer);
  if (isIpv4 ? peer[12] === 127 : sameBytes(peer, LOOPBACK.ipv6)) return isIpv4 ? LOOPBACK.ipv4 : LOOPBACK.ipv6;
  const ofFamily = addresses.filter((address) => isMappedIpv4(address) === isIpv4);
  return ofFamily.find((address) => sameBytes(address, peer)) ?? (ofFamily.length === 1 ? ofFamily[0]! : null);
}
