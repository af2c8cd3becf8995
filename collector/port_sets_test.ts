/** Port sets are exact, at every size. */

import assert from "node:assert/strict";
import { PortSets } from "./port_sets.ts";

function portsOf(sets: PortSets, row: number): number[] {
  const out = new Int32Array(sets.storedCount(row));
  sets.copy(row, out, 0);
  return [...out];
}

for (const count of [1, 8, 9, 256, 257, 30_000]) {
  Deno.test(`PortSets keeps ${count} distinct ports exactly and in order`, () => {
    const sets = new PortSets(2);
    const ports = Array.from({ length: count }, (_, i) => 1 + (i * 7_919) % 65_535);
    for (const port of [...ports, ...ports]) sets.add(1, port);
    assert.deepEqual(portsOf(sets, 1), [...new Set(ports)].sort((a, b) => a - b));
    assert.equal(sets.count(1), new Set(ports).size);
    assert.equal(sets.count(0), 0);
    assert.equal(sets.isCut(1), false);
  });
}

Deno.test("PortSets gives a row's room back when it is cleared", () => {
  const sets = new PortSets(1);
  for (let round = 0; round < 5_000; round++) {
    for (let port = 1; port <= 260; port++) sets.add(0, port);
    sets.clear(0);
  }
  for (let port = 1; port <= 300; port++) sets.add(0, port);
  assert.equal(sets.isCut(0), false);
  assert.equal(portsOf(sets, 0).length, 300);
});

Deno.test("PortSets goes on counting when there is no room for another table", () => {
  const rows = 40_000;
  const sets = new PortSets(rows);
  for (let row = 0; row < rows; row++) for (let port = 1; port <= 9; port++) sets.add(row, port);
  assert.equal(sets.isCut(rows - 1), true);
  assert.equal(sets.count(rows - 1), 9);
  assert.equal(portsOf(sets, rows - 1).length, 8);
});
