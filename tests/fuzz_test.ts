/** A bounded run of the fuzzer (`deno task fuzz` runs it for as long as one likes). */

import assert from "node:assert/strict";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { makeSeeds } from "./fuzz/datagrams.ts";
import { fuzz } from "./fuzz/fuzz.ts";
import { Random } from "./fuzz/random.ts";

const INPUTS = 200_000;
const FIXED_SEED = 5;

for (const seed of [FIXED_SEED, crypto.getRandomValues(new Uint32Array(1))[0]!]) {
  Deno.test(`the decoder takes ${INPUTS} broken datagrams of seed ${seed}`, () => {
    const { malformed, events, refused } = fuzz(seed, INPUTS);
    // Neither are most of them refused at the door, nor are they hardly broken.
    assert.ok(malformed > INPUTS / 10 && malformed < INPUTS / 2, `${malformed} malformed`);
    assert.ok(events > INPUTS && refused > INPUTS / 100, `${events} events, ${refused} refused`);
  });
}

Deno.test("what the fuzzer begins with is valid, and all of it is taken in", () => {
  for (const { bytes, events } of makeSeeds(320, new Random(FIXED_SEED))) {
    const { table, receiver, receive } = testReceiver();
    receive(bytes);
    assert.deepEqual([table.eventCount, receiver.counts.malformed, receiver.counts.refused], [events, {}, {}]);
  }
});

Deno.test("the same seed makes the same datagrams", () => {
  assert.deepEqual(fuzz(FIXED_SEED, 5_000), fuzz(FIXED_SEED, 5_000));
});
