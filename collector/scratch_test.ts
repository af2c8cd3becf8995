/** Memory that is used again for each message. */

import assert from "node:assert/strict";
import { Scratch } from "./scratch.ts";

Deno.test("Scratch gives arrays of zeros that do not overlap, again after a reset, and beyond what it has room for", () => {
  const scratch = new Scratch();
  for (let round = 0; round < 3; round++) {
    scratch.reset();
    const bytes = scratch.bytes(3), numbers = scratch.int32s(1_000_000), words = scratch.words(5), doubles = scratch.float64s(7);
    assert.ok([bytes, numbers, words, doubles].every((array) => array.every((value) => value === 0)), `round ${round}`);
    bytes.fill(1);
    numbers.fill(2);
    words.fill(3);
    doubles.fill(4);
    assert.ok(bytes.every((value) => value === 1) && numbers.every((value) => value === 2) && words.every((value) => value === 3));
    assert.deepEqual([words.length, doubles.length], [10, 7]);
  }
});
