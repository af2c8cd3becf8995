/** The C library's allocator. */

import assert from "node:assert/strict";
import { keepFreedMemory } from "./libc_malloc.ts";

Deno.test("keepFreedMemory() is taken by the C library", () => {
  assert.equal(keepFreedMemory(64 * 1024 * 1024), true);
});
