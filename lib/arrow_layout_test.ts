/** The quick way into an Arrow stream: it finds what is there, or says that it does not know. */

import assert from "node:assert/strict";
import { type FieldShape, readPieces, schemaBytes } from "./arrow_layout.ts";
import { encodeFlowBatch } from "./flow_batch.ts";
import { MESSAGE_COLUMNS } from "./records.ts";
import { flowBatch } from "./testdata/flow_batch.ts";

const ROWS = 5;
const WIDTHS = { "VARCHAR": 4, "BLOB": 1, "INTEGER": 4, "INTEGER[]": 4, "BIGINT": 8, "TIMESTAMPTZ": 8 } as const;
const FIELDS = MESSAGE_COLUMNS.map(({ type }, i): FieldShape => ({
  width: WIDTHS[type],
  isList: type === "INTEGER[]",
  dictionaryId: type === "VARCHAR" ? i : null,
}));
const MESSAGE = encodeFlowBatch(flowBatch(ROWS, 1)), SCHEMA = schemaBytes(MESSAGE)!;

Deno.test("readPieces() finds every column of a message", () => {
  const pieces = readPieces(MESSAGE, SCHEMA, FIELDS);
  assert.deepEqual([pieces?.rowCount, pieces?.columns.length], [ROWS, MESSAGE_COLUMNS.length]);
});

Deno.test("readPieces() knows nothing of another schema, and of fields that are not the schema's", () => {
  const other = SCHEMA.slice();
  other[other.length - 1]! ^= 1;
  assert.equal(readPieces(MESSAGE, other, FIELDS), null);
  assert.equal(readPieces(MESSAGE, SCHEMA, FIELDS.slice(1)), null);
});

Deno.test("readPieces() throws at no truncation and no changed byte, and looks nowhere but into the message", () => {
  for (let length = 0; length < MESSAGE.length - 8; length += 3) {
    assert.equal(readPieces(MESSAGE.subarray(0, length), SCHEMA, FIELDS), null);
  }
  for (let at = SCHEMA.length; at < MESSAGE.length; at++) {
    const changed = MESSAGE.slice();
    changed[at]! ^= 1 << at % 8;
    for (const { values } of readPieces(changed, SCHEMA, FIELDS)?.columns ?? []) assert.ok(values.buffer === changed.buffer);
  }
});
