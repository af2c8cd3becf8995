/** When conversations last left. */

import assert from "node:assert/strict";
import { LastFlushes } from "./last_flushes.ts";

Deno.test("LastFlushes remembers the newest time of a conversation, and of two in one place the newer", () => {
  const flushes = new LastFlushes(), other = 7 + 65_536;
  assert.equal(flushes.find(0), null);
  flushes.note(7, 1_000);
  flushes.note(7, 2_000);
  assert.deepEqual([flushes.find(7), flushes.find(other)], [2_000, null]);
  flushes.note(other, 3_000);
  assert.deepEqual([flushes.find(7), flushes.find(other)], [null, 3_000]);
});
