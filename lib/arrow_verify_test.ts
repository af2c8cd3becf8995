/** The check before the Arrow library: what is whole passes, and what would stop the library does not reach it. */

import assert from "node:assert/strict";
import { tableFromArrays, tableFromIPC, tableToIPC } from "apache-arrow";
import { verifyArrowStream } from "./arrow_verify.ts";
import { EDGE_COLUMNS, EDGE_SCHEMA_VERSION } from "./edge_columns.ts";
import { batchEncoder, type ColumnData, decodeFlowBatch, encodeFlowBatch } from "./flow_batch.ts";
import { flowBatch, randomNumbers } from "./testdata/flow_batch.ts";

const FUZZ_CASES = 20_000;
/** Of one damaged message: some hundred times what it takes. */
const CASE_MS_MAX = 2_000;
const DAMAGED = { name: "SyntaxError", message: /^Cannot decode Arrow stream: / };

const readTestdata = (name: string) => Deno.readFile(new URL(`testdata/${name}`, import.meta.url));

function withWord(message: Uint8Array, at: number, word: number): Uint8Array {
  const changed = message.slice();
  new DataView(changed.buffer).setUint32(at, word, true);
  return changed;
}

function edgeColumn(type: typeof EDGE_COLUMNS[number]["type"], rowCount: number): ColumnData {
  switch (type) {
    case "VARCHAR":
      return { codes: new Int32Array(rowCount), dictionary: ["a"] };
    case "INTEGER":
      return { values: new Int32Array(rowCount), valid: new Uint8Array(rowCount) };
    case "BIGINT[]":
      return { offsets: Int32Array.from({ length: rowCount + 1 }, (_, i) => 2 * i), values: new BigInt64Array(2 * rowCount) };
    default:
      return { values: new BigInt64Array(rowCount) };
  }
}

Deno.test("verifyArrowStream() passes messages of flows of any number of rows", () => {
  for (const rowCount of [1, 7, 64, 2_048, 8_192]) verifyArrowStream(encodeFlowBatch(flowBatch(rowCount, rowCount)));
});

Deno.test("verifyArrowStream() passes messages of edges", () => {
  const columns = Object.fromEntries(EDGE_COLUMNS.map(({ name, type }) => [name, edgeColumn(type, 9)]));
  verifyArrowStream(batchEncoder(EDGE_COLUMNS, EDGE_SCHEMA_VERSION)(9, columns));
});

Deno.test("verifyArrowStream() passes messages of version 1, and of pyarrow 21, which decodes as the one it was made of", async () => {
  verifyArrowStream(await readTestdata("flow_batch_version_1.arrow"));
  const message = await readTestdata("flow_batch_pyarrow.arrow");
  verifyArrowStream(message);
  const texts = (bytes: Uint8Array) => tableFromIPC(bytes).toArray().map(String);
  assert.deepEqual(texts(message), texts(encodeFlowBatch(flowBatch(6, 1))));
  assert.equal(decodeFlowBatch(message).rowCount, 6);
});

Deno.test("verifyArrowStream() passes streams of other columns, of none, and of many batches", () => {
  const table = tableFromArrays({ a: [1.5, 2], b: ["x", "y"], c: [true, false], d: [new Date(0), new Date(1)], e: [[1], [2, 3]] });
  verifyArrowStream(tableToIPC(table, "stream"));
  verifyArrowStream(tableToIPC(table.slice(0, 0), "stream"));
  verifyArrowStream(tableToIPC(table.concat(table, table), "stream"));
});

Deno.test("verifyArrowStream() refuses the lengths that the Arrow library hangs on", () => {
  const message = encodeFlowBatch(flowBatch(2_048, 1));
  for (const at of [60, 4_932]) {
    const damaged = withWord(message, at, 0x7fff_fff0);
    assert.throws(() => verifyArrowStream(damaged), {
      name: "SyntaxError",
      message: /vector at bytes \d+ to \d+, needed within \d+ to \d+$/,
    });
    assert.throws(() => decodeFlowBatch(damaged), DAMAGED);
  }
});

Deno.test("verifyArrowStream() refuses a file, text, no bytes, an end without a schema, and every cut but between messages", () => {
  const table = tableFromArrays({ a: [1] }), message = encodeFlowBatch(flowBatch(3, 1));
  const others = [tableToIPC(table, "file"), new TextEncoder().encode("garbage"), new Uint8Array(), message.subarray(message.length - 8)];
  for (const bytes of others) assert.throws(() => verifyArrowStream(bytes), DAMAGED);
  const passing: number[] = [];
  for (let length = 0; length < message.length; length++) {
    try {
      verifyArrowStream(message.subarray(0, length));
      passing.push(length);
    } catch (error) {
      assert(error instanceof SyntaxError, `cut at ${length}: ${error}`);
    }
  }
  const dictionaries = tableFromIPC(message).schema.dictionaries.size;
  assert.equal(passing.length, 1 + dictionaries + 1, "after the schema, each dictionary, and the rows");
});

Deno.test("whatever bit or word of a message is damaged, it decodes or is refused with a SyntaxError, soon", () => {
  const seed = Date.now() >>> 0, random = randomNumbers(seed), message = encodeFlowBatch(flowBatch(50, 1));
  const WORDS = [0, 0x7fff_ffff, 0xffff_ffff];
  const counts = { verified: 0, refused: 0, decoded: 0 };
  for (let i = 0; i < FUZZ_CASES; i++) {
    const at = random(i % 2 === 0 ? message.length - 3 : 10_000), word = WORDS[random(4)] ?? random(2 ** 32);
    const changed = withWord(message, at, word);
    if (random(2) === 0) {
      changed.set(message);
      changed[at]! ^= 1 << random(8);
    }
    const start = performance.now();
    const isWhole = doesNotThrow(() => verifyArrowStream(changed), SyntaxError);
    if (isWhole) doesNotThrow(() => tableFromIPC(changed), Error);
    const isDecoded = doesNotThrow(() => decodeFlowBatch(changed), SyntaxError);
    assert.ok(performance.now() - start < CASE_MS_MAX, `seed ${seed}, case ${i}: took too long`);
    counts[isWhole ? "verified" : "refused"]++;
    if (isDecoded) counts.decoded++;
  }
  for (const [what, count] of Object.entries(counts)) assert.ok(count > FUZZ_CASES / 20, `seed ${seed}: ${count} ${what}`);
});

/** @throws What is thrown that is not of the class. */
function doesNotThrow(act: () => unknown, expected: typeof Error | typeof SyntaxError): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof expected) return false;
    throw error;
  }
}
