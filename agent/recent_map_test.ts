/** What was used lately is kept, and no more than that. */

import assert from "node:assert/strict";
import { RecentMap } from "./recent_map.ts";

Deno.test("RecentMap keeps what is used, and makes again what was not used for long", () => {
  const map = new RecentMap<number, number>(100);
  let made = 0;
  for (let i = 0; i < 1_000; i++) {
    map.getOrMake(i, () => ++made);
    assert.equal(map.getOrMake(0, () => ++made), 1);
    assert.ok(map.size <= 200);
  }
  assert.equal(made, 1_000);
  assert.equal(map.getOrMake(1, () => -1), -1);
  assert.equal(map.getOrMake(950, () => -1), 951);
});

Deno.test("RecentMap.get() keeps what is used, and forgets what is not", () => {
  const map = new RecentMap<number, number>(2);
  for (let key = 0; key < 10; key++) {
    map.set(key, key);
    assert.equal(map.get(0), 0);
  }
  assert.deepEqual([map.has(9), map.has(1), map.get(1)], [true, false, undefined]);
  assert.ok(map.size <= 4);
});

Deno.test("RecentMap.replaceAll() reaches what was used lately and what was not", () => {
  const map = new RecentMap<number, number>(2);
  for (const key of [1, 2, 3]) map.set(key, key);
  map.replaceAll((value) => 10 * value);
  assert.deepEqual([1, 2, 3].map((key) => map.get(key)), [10, 20, 30]);
});
