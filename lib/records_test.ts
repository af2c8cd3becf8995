/** The columns of flow rows and edges. */

import assert from "node:assert/strict";
import { CONVERSATION_COLUMNS } from "./conversation_columns.ts";
import { EDGE_COLUMNS } from "./edge_columns.ts";
import { FLOW_COLUMNS, MESSAGE_COLUMNS } from "./records.ts";

for (const [table, columns] of Object.entries({ FLOW_COLUMNS, CONVERSATION_COLUMNS, EDGE_COLUMNS })) {
  Deno.test(`${table} has each name once, in snake_case, with unit, meaning and source`, () => {
    const names = columns.map(({ name }) => name);
    assert.equal(new Set<string>(names).size, names.length);
    for (const { name, unit, meaning, source } of columns) {
      assert.match(name, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
      assert.ok(unit !== "" && meaning !== "" && source !== "", name);
    }
  });
}

Deno.test("MESSAGE_COLUMNS leaves out what the ETL job fills in", () => {
  const left = FLOW_COLUMNS.filter((c) => !MESSAGE_COLUMNS.some(({ name }) => name === c.name)).map(({ name }) => name);
  assert.deepEqual(left, [
    "network_type",
    "client_address",
    "server_address",
    "src_topic",
    "src_partition",
    "src_offset",
    "src_index",
    "ingest_time",
  ]);
});
