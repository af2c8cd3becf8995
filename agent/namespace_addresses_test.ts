/** Addresses of a namespace from the kernel's own tables, and which of them a socket speaks from. */

import assert from "node:assert/strict";
import { formatAddress, parseAddress } from "../lib/ip_address.ts";
import { parseFibTrie, parseIfInet6, readNamespaceAddresses, sourceAmong } from "./namespace_addresses.ts";

const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.2.0/24 2 0 2
        |-- 10.1.2.0
           /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.1.2.3
        /32 host LOCAL
     |-- 10.1.2.255
        /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
Main:
     |-- 10.1.2.3
        /32 host LOCAL
`;
const IF_INET6 = `00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
fe80000000000000000000fffe000001 02 40 20 80     eth0
`;

Deno.test("parseFibTrie() and parseIfInet6() find the addresses that other hosts speak to", () => {
  assert.deepEqual(parseFibTrie(FIB_TRIE).map(formatAddress), ["10.1.2.3"]);
  assert.deepEqual(parseIfInet6(IF_INET6).map(formatAddress), ["2001:db8::7"]);
});

Deno.test("readNamespaceAddresses() finds nothing of a process that is gone", () => {
  assert.deepEqual(readNamespaceAddresses(0x7fff_0001), []);
});

Deno.test("sourceAmong() takes loopback to loopback, itself to itself, else the only address of the family", () => {
  const [a, b, c] = ["10.1.2.3", "10.1.2.4", "2001:db8::7"].map(parseAddress);
  const source = (peer: string, ...addresses: (Uint8Array | undefined)[]) => {
    const found = sourceAmong(addresses.map((address) => address!), parseAddress(peer));
    return found === null ? null : formatAddress(found);
  };
  assert.equal(source("127.0.0.53", a), "127.0.0.1");
  assert.equal(source("::1", c), "::1");
  assert.equal(source("10.9.9.9", a, c), "10.1.2.3");
  assert.equal(source("2001:db8::1", a, b, c), "2001:db8::7");
  assert.equal(source("10.9.9.9", a, b), null);
  assert.equal(source("10.1.2.4", a, b), "10.1.2.4");
});
