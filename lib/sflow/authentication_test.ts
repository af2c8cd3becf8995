/** Signatures: made by one key, known by that key, and by no other. */

import assert from "node:assert/strict";
import { AUTHENTICATION_BYTES, DatagramSigner, parseKeys, SharedKey, verify } from "./authentication.ts";
import { DEFAULT_ENTERPRISE } from "./datagram.ts";

const SAMPLE_COUNT_AT = 24, HEAD_BYTES = 28;
const [KEY, OTHER] = ["a secret of 23 characters", "another secret of the same kind"].map((text) =>
  new SharedKey(new TextEncoder().encode(text))
);

function signed(sequence = 1): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(HEAD_BYTES + AUTHENTICATION_BYTES);
  const view = new DataView(buffer.buffer);
  for (const [i, word] of [5, 1, 0x0a00_0001, 0x534b_0000, sequence, 1_000, 0].entries()) view.setUint32(4 * i, word);
  const length = new DatagramSigner(KEY!, DEFAULT_ENTERPRISE, 7_000).sign(buffer, HEAD_BYTES, SAMPLE_COUNT_AT, 8_000);
  assert.equal(length, buffer.length);
  assert.equal(view.getUint32(SAMPLE_COUNT_AT), 1);
  return buffer;
}

Deno.test("verify() takes what one of its keys signed, and tells when", () => {
  for (const keys of [[KEY!], [OTHER!, KEY!]]) {
    assert.deepEqual(verify(signed(), keys, DEFAULT_ENTERPRISE), { sessionUnixUs: 7_000, sentUnixUs: 8_000 });
  }
});

Deno.test("verify() refuses another key's signature, one of a changed datagram, a changed one, and none", () => {
  assert.equal(verify(signed(), [OTHER!], DEFAULT_ENTERPRISE), null);
  for (let at = 0; at < HEAD_BYTES + AUTHENTICATION_BYTES; at++) {
    const changed = signed();
    changed[at]! ^= 1;
    // Lengths are signed like everything else.
    assert.equal(verify(changed, [KEY!], DEFAULT_ENTERPRISE), null, `byte ${at}`);
  }
  for (const length of [0, 10, HEAD_BYTES, AUTHENTICATION_BYTES, HEAD_BYTES + AUTHENTICATION_BYTES - 1]) {
    assert.equal(verify(signed().slice(0, length), [KEY!], DEFAULT_ENTERPRISE), null);
  }
});

Deno.test("DatagramSigner makes HMAC-SHA-256 as RFC 4231 has it, cut to half", () => {
  const key = new SharedKey(new Uint8Array(20).fill(0x0b));
  assert.equal(key.mac(new TextEncoder().encode("Hi There")).toHex(), "b0344c61d8db38535ca8afceaf0bf12b");
});

Deno.test("parseKeys() reads a key a line, and refuses what is no secret", () => {
  assert.equal(parseKeys("0123456789abcdef\n\n  fedcba9876543210fedcba98 \n").length, 2);
  assert.throws(() => parseKeys("\n"), { name: "SyntaxError", message: /empty/ });
  assert.throws(() => parseKeys("0123456789abcdef\nshort\n"), {
    name: "SyntaxError",
    message: "Cannot use key: 5 bytes, needed 16 to 4096",
  });
});
