/** Port sets are exact, at every size. */

import assert from "node:assert/strict";
import { PORT_CELL_WORDS, PortSets } from "./port_sets.ts";

const CELL = 2 * PORT_CELL_WORDS;

function newSets(rows: number): PortSets {
  return new PortSets(new Uint16Array(rows * CELL), rows);
}

function portsOf(sets: PortSets, cell: number): number[] {
  const out = new Int32Array(sets.storedCount(cell));
  assert.equal(sets.copy(cell, out, 0), out.length);
  return [...out];
}

for (const count of [1, 4, 5, 16, 17, 256, 257, 30_000, 65_535]) {
  Deno.test(`PortSets keeps ${count} distinct ports exactly and in order`, () => {
    const sets = newSets(2);
    const ports = Array.from({ length: count }, (_, i) => 1 + (i * 7_919) % 65_535);
    for (const port of [...ports, ...ports]) sets.add(CELL, port);
    assert.deepEqual(portsOf(sets, CELL), [...new Set(ports)].sort((a, b) => a - b));
    assert.equal(sets.count(CELL), new Set(ports).size);
    assert.equal(sets.count(0), 0);
    assert.equal(sets.isCut(CELL), false);
  });
}

Deno.test("PortSets gives a row's room back when it is cleared", () => {
  const sets = newSets(1);
  for (let round = 0; round < 5_000; round++) {
    for (let port = 1; port <= 260; port++) sets.add(0, port);
    sets.clear(0);
  }
  for (let port = 1; port <= 300; port++) sets.add(0, port);
  assert.equal(sets.isCut(0), false);
  assert.equal(portsOf(sets, 0).length, 300);
});

Deno.test("PortSets goes on counting when there is no room for another list", () => {
  const rows = 8, sets = newSets(rows); // two lists for eight rows
  for (let row = 0; row < rows; row++) for (let port = 1; port <= 5; port++) sets.add(row * CELL, port);
  const last = (rows - 1) * CELL;
  assert.deepEqual([sets.isCut(CELL), sets.isCut(last)], [false, true]);
  assert.equal(sets.count(last), 5);
  assert.deepEqual(portsOf(sets, last), [1, 2, 3, 4]);
});

Deno.test("PortSets counts what is beyond a table while bitmaps are not allowed, and keeps the ports that it has", () => {
  const sets = newSets(1);
  sets.allowsBitmaps = false;
  for (let port = 1; port <= 300; port++) sets.add(0, port);
  assert.equal(sets.isCut(0), true);
  assert.equal(sets.count(0), 300);
  assert.equal(portsOf(sets, 0).length, 256);
});
