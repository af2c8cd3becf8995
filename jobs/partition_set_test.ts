/** Sets of partitions are read as they are written. */

import assert from "node:assert/strict";
import { formatPartitionSet, parsePartitionSet } from "./partition_set.ts";

Deno.test("parsePartitionSet() reads numbers and ranges, each partition once", () => {
  assert.deepEqual(parsePartitionSet("7,0-3,2"), [0, 1, 2, 3, 7]);
});

Deno.test("formatPartitionSet() writes the shortest text that is read the same", () => {
  assert.equal(formatPartitionSet([0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
});

for (const text of ["", "3-1", "a", "1,", "-1", "1-2-3"]) {
  Deno.test(`parsePartitionSet() refuses "${text}"`, () => {
    assert.throws(() => parsePartitionSet(text), SyntaxError);
  });
}
