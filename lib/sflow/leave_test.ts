/** Which datagrams have an agent send elsewhere. */

import assert from "node:assert/strict";
import { parseAddress } from "../ip_address.ts";
import { parseKeys } from "./authentication.ts";
import { encodeLeave, isLeave } from "./leave.ts";

const [KEY, OTHER_KEY] = parseKeys("correct horse battery staple\nanother horse, another staple\n");
const END = { address: parseAddress("10.0.0.1"), port: 40_000 };
const SENT_US = 1_700_000_000_000_000;

function leave(keys = [KEY!]): Uint8Array<ArrayBuffer> {
  return encodeLeave(keys, END, SENT_US)[0]!;
}

Deno.test("isLeave() takes what encodeLeave() made, signed or not, where no key is needed", () => {
  assert.equal(leave([]).toHex(), "534b4c5600000000" + "00060a24181e4000");
  assert.ok(isLeave(leave([]), null, END, SENT_US) && isLeave(leave(), null, END, SENT_US));
});

Deno.test("isLeave() with a key takes what is signed with it, whatever other keys the collector has", () => {
  const [first, second] = encodeLeave([OTHER_KEY!, KEY!], END, SENT_US);
  assert.deepEqual([first, second, leave([])].map((bytes) => isLeave(bytes!, KEY!, END, SENT_US)), [false, true, false]);
});

Deno.test("isLeave() with a key refuses another agent's, and every changed byte", () => {
  assert.equal(isLeave(leave(), KEY!, { ...END, port: 40_001 }, SENT_US), false);
  assert.equal(isLeave(leave(), KEY!, { ...END, address: parseAddress("10.0.0.2") }, SENT_US), false);
  for (let at = 0; at < leave().length; at++) {
    const changed = leave();
    changed[at]! ^= 1;
    assert.equal(isLeave(changed, KEY!, END, SENT_US), false, `byte ${at}`);
  }
});

Deno.test("isLeave() with a key refuses one from more than 30 s ago or ahead", () => {
  const ages = [-31e6, -29e6, 29e6, 31e6].map((ageUs) => isLeave(leave(), KEY!, END, SENT_US + ageUs));
  assert.deepEqual(ages, [false, true, true, false]);
});

Deno.test("isLeave() refuses other datagrams, and every truncation", () => {
  assert.equal(isLeave(new Uint8Array(16), null, END, SENT_US), false);
  for (let length = 0; length < 16; length++) assert.equal(isLeave(leave([]).slice(0, length), null, END, SENT_US), false);
});
