/** Offsets that lead nowhere are refused, also where their difference is too great for 32 bits. */

import assert from "node:assert/strict";
import { fromArrow } from "./arrow_columns.ts";
import type { ColumnPieces } from "./arrow_layout.ts";
import { MESSAGE_COLUMNS, type MessageColumn } from "./records.ts";

const VALUES = 40, ROWS = 2;

function columnOf(type: MessageColumn["type"]): MessageColumn {
  return MESSAGE_COLUMNS.find((column) => column.type === type)!;
}

function listPieces(valueOffsets: Int32Array): ColumnPieces {
  const values = new Int32Array(VALUES);
  return { nullCount: 0, nullBitmap: new Uint8Array(0), values, valueOffsets, children: [{ values }] };
}

function textPieces(valueOffsets: Int32Array): ColumnPieces {
  const data = [{ length: ROWS, valueOffsets, values: new Uint8Array(VALUES) }];
  return { ...listPieces(new Int32Array(0)), values: new Int32Array(ROWS), dictionary: { length: ROWS, data } };
}

const WRONG: readonly (readonly number[])[] = [[0, 100, -2_147_483_598], [0, 30, 20], [0, 30, 41], [-1, 30, 40], [0, 30]];

for (const [type, pieces] of [["INTEGER[]", listPieces], ["VARCHAR", textPieces]] as const) {
  Deno.test(`fromArrow() takes the offsets of ${type} that ascend to its values`, () => {
    fromArrow(columnOf(type), pieces(Int32Array.of(0, 30, VALUES)), ROWS);
  });
  for (const offsets of WRONG) {
    Deno.test(`fromArrow() refuses the offsets ${offsets.join(", ")} of ${type}`, () => {
      assert.throws(() => fromArrow(columnOf(type), pieces(Int32Array.from(offsets)), ROWS), SyntaxError);
    });
  }
}
