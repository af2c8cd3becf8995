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
