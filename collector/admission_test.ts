/** Who may send, how much, and what must be signed: every refusal has its reason. */

import assert from "node:assert/strict";
import { parseAddress, parseAddressRange } from "../lib/ip_address.ts";
import { AUTHENTICATION_BYTES, DatagramSigner, SharedKey } from "../lib/sflow/authentication.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { Admission, type AdmissionRules, DEFAULT_ALLOWED } from "./admission.ts";
import { datagram } from "./testdata/datagram.ts";

const NOW_MS = 1_800_000_000_000;
const RULES = { allowed: DEFAULT_ALLOWED, sourceLimit: 1_000, keys: [], enterprise: DEFAULT_ENTERPRISE } as const;

function words(address: string): Uint32Array {
  const bytes = parseAddress(address), view = new DataView(bytes.buffer);
  return Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at));
}

function admission(rules: Partial<AdmissionRules> = {}): Admission {
  return new Admission({ ...RULES, ...rules });
}

function admits(by: Admission, address: string, bytes = datagram([]), nowMs = NOW_MS): boolean {
  return by.admits(words(address), bytes, 0, bytes.length, nowMs);
}

Deno.test("Admission takes private, loopback and link-local senders by default, and counts the others", () => {
  const made = admission();
  const allowed = ["10.255.0.1", "172.31.255.255", "192.168.1.1", "127.9.9.9", "169.254.3.3", "::1", "fd00::1", "fe80::1"];
  const refused = [
    "11.0.0.0",
    "9.255.255.255",
    "172.32.0.0",
    "172.15.0.1",
    "192.169.0.1",
    "128.0.0.1",
    "::2",
    "fe00::1",
    "2001:db8::1",
    "::",
  ];
  assert.deepEqual(allowed.filter((address) => !admits(made, address)), []);
  assert.deepEqual(refused.filter((address) => admits(made, address)), []);
  assert.equal(made.counts.datagrams_refused_source, refused.length);
});

Deno.test("Admission takes only the ranges that it is told, to the bit", () => {
  const made = admission({ allowed: ["203.0.113.64/27", "2001:db8::/33", "198.51.100.7"].map(parseAddressRange) });
  const allowed = ["203.0.113.64", "203.0.113.95", "2001:db8:7fff::1", "198.51.100.7"];
  const refused = ["203.0.113.63", "203.0.113.96", "2001:db8:8000::1", "198.51.100.6", "10.0.0.1"];
  assert.deepEqual(allowed.filter((address) => !admits(made, address)), []);
  assert.deepEqual(refused.filter((address) => admits(made, address)), []);
  assert.ok(admits(admission({ allowed: [parseAddressRange("::/0")] }), "8.8.8.8"));
});

Deno.test("Admission lets a sender send at its rate and no faster, whatever the others do", () => {
  const made = admission();
  const sent = (address: string, count: number, nowMs: number) =>
    Array.from({ length: count }, () => admits(made, address, datagram([]), nowMs)).filter(Boolean).length;
  assert.equal(sent("10.0.0.1", 3_000, NOW_MS), 1_000);
  assert.equal(sent("10.0.0.2", 500, NOW_MS), 500);
  assert.equal(sent("10.0.0.1", 3_000, NOW_MS + 250), 250);
  assert.equal(sent("10.0.0.1", 3_000, NOW_MS + 60_000), 1_000);
  assert.equal(made.counts.datagrams_refused_rate, 2_000 + 2_750 + 2_000);
});

Deno.test("Admission keeps to a sender's rate while very many others send", () => {
  const made = admission({ sourceLimit: 10 });
  let admitted = 0;
  for (let i = 0; i < 100_000; i++) {
    admits(made, `10.${i >> 14 & 0xff}.${i >> 7 & 0x7f}.${i & 0x7f}`, datagram([]), NOW_MS + i / 100);
    if (i % 10 === 0 && admits(made, "192.168.0.1", datagram([]), NOW_MS + i / 100)) admitted++;
  }
  assert.ok(admitted <= 21, `${admitted} in a second, of 10 and a burst of 10`);
});

const KEY = new SharedKey(new TextEncoder().encode("0123456789abcdef"));
const OTHER = new SharedKey(new TextEncoder().encode("fedcba9876543210"));

function signed(sequence: number, { key = KEY, sessionMs = NOW_MS, sentMs = NOW_MS, subAgent = 1 } = {}): Uint8Array<ArrayBuffer> {
  const plain = datagram([], { sequence, subAgent }), buffer = new Uint8Array(plain.length + AUTHENTICATION_BYTES);
  buffer.set(plain);
  new DatagramSigner(key, DEFAULT_ENTERPRISE, sessionMs * 1_000).sign(buffer, plain.length, 24, sentMs * 1_000);
  return buffer;
}

Deno.test("Admission with keys takes what any of them signed, and nothing else", () => {
  const made = admission({ keys: [OTHER, KEY] });
  assert.ok(admits(made, "10.0.0.1", signed(1)));
  assert.ok(admits(made, "10.0.0.1", signed(2, { key: OTHER })));
  assert.ok(!admits(made, "10.0.0.1", datagram([])));
  assert.ok(!admits(made, "10.0.0.1", signed(3, { key: new SharedKey(new Uint8Array(16)) })));
  assert.deepEqual(made.counts, {
    datagrams_refused_source: 0,
    datagrams_refused_rate: 0,
    datagrams_refused_unauthenticated: 2,
    datagrams_refused_replayed: 0,
  });
});

Deno.test("Admission takes a signed datagram once: not again, not late, not of an earlier session", () => {
  const made = admission({ keys: [KEY] });
  const take = (...datagrams: Uint8Array<ArrayBuffer>[]) => datagrams.map((bytes) => admits(made, "10.0.0.1", bytes));
  assert.deepEqual(take(signed(1), signed(3), signed(2)), [true, true, true], "in any order");
  assert.deepEqual(take(signed(1), signed(2), signed(3)), [false, false, false]);
  assert.deepEqual(
    take(signed(2_000), signed(976), signed(977), signed(977)),
    [true, false, true, false],
    "1,024 datagrams behind at most",
  );
  assert.deepEqual(take(signed(1, { subAgent: 2 })), [true], "each stream for itself");
  assert.deepEqual(take(signed(2_001, { sentMs: NOW_MS - 31_000 }), signed(2_001, { sentMs: NOW_MS + 31_000 })), [false, false]);
  assert.deepEqual(take(signed(1, { sessionMs: NOW_MS + 1 }), signed(2_001), signed(2, { sessionMs: NOW_MS + 1 })), [true, false, true]);
  assert.equal(made.counts.datagrams_refused_replayed, 3 + 2 + 2 + 1);
});

Deno.test("Admission follows sequence numbers across the wrap of 2^32", () => {
  const made = admission({ keys: [KEY] });
  const numbers = [0xffff_fffe, 0xffff_ffff, 0, 1, 0xffff_fffe, 0xffff_ffff, 0, 1, 2];
  const taken = numbers.map((sequence) => admits(made, "10.0.0.1", signed(sequence)));
  assert.deepEqual(taken, [true, true, true, true, false, false, false, false, true]);
});
