/** Topic messages: what goes in comes out, and nothing else is taken for one. */

import assert from "node:assert/strict";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { BATCH_ROWS_MAX, decodeFlowBatch, encodeFlowBatch, type FlowBatch } from "./flow_batch.ts";
import { agentLoss } from "./testdata/agent_loss.ts";
import { flowBatch } from "./testdata/flow_batch.ts";

/** Rows as plain values, so that two batches can be compared however their texts are coded. */
function plain({ rowCount, columns }: FlowBatch): Record<string, unknown>[] {
  return Array.from({ length: rowCount }, (_, i) =>
    Object.fromEntries(
      Object.entries(columns).map(([name, column]) => {
        if ("codes" in column) return [name, column.codes[i]! < 0 ? null : column.dictionary[column.codes[i]!]];
        if ("bytes" in column) return [name, column.bytes.subarray(16 * i, 16 * i + 16).toHex()];
        if ("offsets" in column) return [name, [...column.values.subarray(column.offsets[i]!, column.offsets[i + 1]!)]];
        return [name, column.valid?.[i] === 0 ? null : column.values[i]];
      }),
    ));
}

Deno.test("decodeFlowBatch() gives what encodeFlowBatch() was given", () => {
  const seed = Date.now() >>> 0;
  for (const rowCount of [1, 7, 64, 65, 1_000]) {
    const batch = flowBatch(rowCount, seed + rowCount);
    assert.deepEqual(plain(decodeFlowBatch(encodeFlowBatch(batch))), plain(batch), `seed ${seed}`);
  }
});

Deno.test("encodeFlowBatch() refuses no rows, too many, and columns of another length", () => {
  const batch = flowBatch(2, 1);
  assert.throws(() => encodeFlowBatch({ ...batch, rowCount: 0 }), RangeError);
  assert.throws(() => encodeFlowBatch({ ...batch, rowCount: BATCH_ROWS_MAX + 1 }), RangeError);
  const columns = { ...batch.columns, server_port: { values: new Int32Array(3) } };
  assert.throws(() => encodeFlowBatch({ ...batch, columns }), { name: "RangeError", message: /"server_port" has 3 rows, needed 2/ });
});

Deno.test("decodeFlowBatch() refuses every truncation with a SyntaxError", () => {
  const message = encodeFlowBatch(flowBatch(3, 1));
  for (let length = 0; length < message.length - 16; length += 61) {
    assert.throws(() => decodeFlowBatch(message.subarray(0, length)), SyntaxError, `cut at ${length}`);
  }
});

Deno.test("decodeFlowBatch() refuses another schema version, and a stream without our columns", () => {
  const message = encodeFlowBatch(flowBatch(1, 1));
  const text = new TextDecoder("latin1").decode(message);
  const at = text.indexOf("skyfall.schema_version");
  const unnamed = message.slice();
  unnamed[at + 1] = 0x78;
  assert.throws(() => decodeFlowBatch(unnamed), { name: "SyntaxError", message: /schema version "absent", needed "1" to "2"/ });
  const newer = message.slice();
  newer[text.indexOf("\x01\0\0\x002\0") + 4] = 0x33; // a flatbuffers string: length, text, NUL
  assert.throws(() => decodeFlowBatch(newer), {
    name: "SyntaxError",
    message: /schema version "3", needed "1" to "2"; use a newer Skyfall/,
  });
  assert.throws(() => decodeFlowBatch(tableToIPC(tableFromArrays({ a: [1] }), "stream")), {
    name: "SyntaxError",
    message: /schema version/,
  });
});

Deno.test("decodeFlowBatch() reads a message of version 1, and says what was true of it of the columns that came later", async () => {
  const message = await Deno.readFile(new URL("testdata/flow_batch_version_1.arrow", import.meta.url));
  const rows = plain(decodeFlowBatch(message));
  assert.equal(rows.length, 6);
  assert.deepEqual(new Set(rows.map(({ observer_role }) => observer_role)), new Set(["client", "server"]));
  for (const row of rows) {
    assert.deepEqual(
      [row["schema_version"], row["flow_source"], row["sampling_rate"], row["reporter"], row["fold_level"], row["late_count"]],
      [1, "skyfall", 1, row["observer_role"], 0, 0n],
    );
    assert.deepEqual([row["peer_bytes_sent"], row["peer_bytes_received"]], [null, null]);
  }
});

Deno.test("decodeFlowBatch() refuses bytes that are no Arrow stream", () => {
  assert.throws(() => decodeFlowBatch(new TextEncoder().encode("not an arrow stream at all")), SyntaxError);
});

Deno.test("decodeFlowBatch() decodes the second message of a schema as the first: other rows, other alignment, nulls", () => {
  for (let seed = 0; seed < 12; seed++) {
    const batch = flowBatch(1 + 37 * seed, seed), message = encodeFlowBatch(batch);
    const moved = new Uint8Array(message.length + 3).subarray(3);
    moved.set(message);
    for (const bytes of [message, moved]) assert.deepEqual(plain(decodeFlowBatch(bytes)), plain(batch));
  }
});

Deno.test("decodeFlowBatch() gives the losses that a message tells beside its rows, and those alone", () => {
  const plainMessage = encodeFlowBatch(flowBatch(3, 1));
  for (let i = 1; i <= 6; i++) {
    const agentLosses = Array.from({ length: i }, (_, agent) => agentLoss(`10.0.0.${agent}`)), batch = flowBatch(3, i);
    const told = decodeFlowBatch(encodeFlowBatch({ ...batch, agentLosses }));
    assert.deepEqual([plain(told), told.agentLosses], [plain(batch), agentLosses]);
    assert.equal("agentLosses" in decodeFlowBatch(plainMessage), false);
  }
});

Deno.test("decodeFlowBatch() refuses losses that cannot be", () => {
  for (const wrong of [{ loss_end: -1 }, { agent_count: -1 }, { datagrams_lost: 0.5 }, { sub_agent_id: 2 ** 32 }]) {
    const message = encodeFlowBatch({ ...flowBatch(1, 1), agentLosses: [agentLoss("10.0.0.1", wrong)] });
    assert.throws(() => decodeFlowBatch(message), {
      name: "SyntaxError",
      message: new RegExp(`Cannot decode flow batch: metadata "skyfall.agent_loss" at "0.${Object.keys(wrong)[0]}"`),
    });
  }
});
