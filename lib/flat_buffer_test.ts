/** FlatBuffers made by hand: bounds on what references may cost. */

import assert from "node:assert/strict";
import { FlatBuffer, type TableShape } from "./flat_buffer.ts";

const NODES: { tables: TableShape }[] = [];
NODES.push({ tables: NODES });
const ROOT_BYTES = 4, VTABLE_BYTES = 8, TABLE_BYTES = 8;

/** Tables that each have a vector of `width` references to the next; the last one's is empty. */
function nested(depth: number, width: number): DataView {
  const first = ROOT_BYTES + VTABLE_BYTES, levelBytes = TABLE_BYTES + 4 + 4 * width;
  const view = new DataView(new ArrayBuffer(first + depth * levelBytes));
  view.setUint32(0, first, true);
  for (const [i, value] of [6, TABLE_BYTES, 4].entries()) view.setUint16(ROOT_BYTES + 2 * i, value, true);
  for (let level = 0; level < depth; level++) {
    const table = first + level * levelBytes, vector = table + TABLE_BYTES;
    view.setInt32(table, table - ROOT_BYTES, true);
    view.setUint32(table + 4, 4, true);
    view.setUint32(vector, level < depth - 1 ? width : 0, true);
    for (let i = 0; i < width; i++) view.setUint32(vector + 4 + 4 * i, levelBytes - TABLE_BYTES - 4 - 4 * i, true);
  }
  return view;
}

const check = (view: DataView, length = view.byteLength) => new FlatBuffer("tree", view, 0, length).check(NODES);

Deno.test("FlatBuffer finds its way through tables in tables", () => {
  const view = nested(3, 2), tree = new FlatBuffer("tree", view, 0, view.byteLength), root = tree.check(NODES);
  assert.deepEqual([root, tree.items(root, 0), tree.table(root, 1)], [12, { at: 24, count: 2 }, 0]);
  assert.deepEqual(tree.tables(root, 0), [32, 32]);
});

Deno.test("FlatBuffer refuses tables that are nested too deep", () => {
  check(nested(33, 1));
  assert.throws(() => check(nested(34, 1)), {
    name: "SyntaxError",
    message: /^Cannot decode tree: tables nested 33 deep at byte \d+, needed/,
  });
});

Deno.test("FlatBuffer refuses few bytes that lead to a million tables", () => {
  assert.throws(() => check(nested(20, 2)), { name: "SyntaxError", message: /412 bytes lead to more than 1648/ });
});

Deno.test("FlatBuffer refuses a reference that leads back, nowhere, or out of it", () => {
  for (const offset of [-20, 0, 3, 1_000, 0x7fff_fff0]) {
    const view = nested(3, 1);
    view.setInt32(24, offset, true);
    assert.throws(() => check(view), { name: "SyntaxError", message: /reference at byte 24 to \d+ on, needed 4 to \d+$/ });
  }
});

Deno.test("FlatBuffer refuses every cut, and a vtable out of it", () => {
  const view = nested(3, 2);
  for (let length = 0; length < view.byteLength - 8; length++) assert.throws(() => check(view, length), SyntaxError, `cut at ${length}`);
  view.setInt32(12, -1_000, true);
  assert.throws(() => check(view), { name: "SyntaxError", message: /vtable at bytes 1012 to 1016, needed within 0 to/ });
});
