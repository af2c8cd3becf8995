/** The Parquet encoder: what it writes, DuckDB reads, value by value. */

import assert from "node:assert/strict";
import type { Column, ColumnType } from "../../lib/records.ts";
import { randomNumbers } from "../../lib/testdata/flow_batch.ts";
import { Database } from "../duckdb.ts";
import { packDifferences } from "./bit_packing.ts";
import { type ColumnChunk, makeChunk, noNulls, nullLevels } from "./column_chunk.ts";
import { ParquetFile } from "./file.ts";
import { footerRows } from "./footer.ts";
import { encodeNumbers, encodePlain } from "./numbers.ts";

function column(name: string, type: ColumnType): Column {
  return { name, type, nullable: true, origin: "message", unit: "-", meaning: "-", source: "-", since: 1 };
}

/** Columns as DuckDB reads them from a file of one row group. */
async function readBack(
  rows: number,
  columns: readonly { readonly type: ColumnType; readonly chunk: ColumnChunk }[],
): Promise<unknown[][]> {
  const file = new ParquetFile(columns.map(({ type }, i) => column(`c${i}`, type)), "test");
  file.addRowGroup(rows, columns.map(({ chunk }) => chunk));
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await Deno.writeFile(path, new Blob(file.finish().map((part) => part.slice())).stream());
    using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: "/tmp" });
    const table = await database.rows(`select * from read_parquet('${path}')`);
    return columns.map((_, i) => table.map((row) => row[`c${i}`]));
  } finally {
    await Deno.remove(path);
  }
}

async function assertNumbers(values: readonly number[], type: "INTEGER" | "BIGINT", encoding: number): Promise<void> {
  const exact = Float64Array.from(values), numbers = type === "INTEGER" ? Int32Array.from(values) : exact;
  const encoded = encodeNumbers(numbers, values.length, type === "INTEGER" ? 4 : 8);
  assert.equal(encoded.values.encoding, encoding);
  assert.deepEqual(encoded.range, { min: exact.reduce((a, b) => Math.min(a, b)), max: exact.reduce((a, b) => Math.max(a, b)) });
  const [found] = await readBack(values.length, [{ type, chunk: makeChunk(noNulls(values.length), encoded.values, encoded.bounds) }]);
  assert.deepEqual(found!.map(Number), values);
}

const PLAIN = 0, DIFFERENCES = 5, DICTIONARY = 8;
const many = (count: number, of: (random: (below: number) => number) => number) => {
  const random = randomNumbers(count);
  return Array.from({ length: count }, () => of(random));
};

Deno.test("encodeNumbers() gives one value, few values and small ones a dictionary", async () => {
  await assertNumbers([7], "INTEGER", DICTIONARY);
  await assertNumbers(many(1_000, () => 2 ** 40), "BIGINT", DICTIONARY);
  await assertNumbers(many(5_000, (random) => random(65_536)), "INTEGER", DICTIONARY);
  await assertNumbers(many(5_000, (random) => random(300) * 2 ** 33), "BIGINT", DICTIONARY);
  await assertNumbers(many(5_000, (random) => random(300) - 150), "INTEGER", DICTIONARY);
});

Deno.test("encodeNumbers() gives the differences of many values, however wide", async () => {
  await assertNumbers(many(40_000, (random) => random(2 ** 30)), "INTEGER", DIFFERENCES);
  await assertNumbers(many(40_000, (random) => random(2 ** 31) - 2 ** 30), "INTEGER", DIFFERENCES);
  await assertNumbers(many(40_000, (random) => random(2 ** 31) * 2 ** 20 + random(2 ** 20)), "BIGINT", DIFFERENCES);
  await assertNumbers(Array.from({ length: 20_001 }, (_, i) => 1_767_000_000_000_000 + 60_000_000 * i), "BIGINT", DIFFERENCES);
});

Deno.test("encodeNumbers() leaves values as they are whose differences have more bits than themselves", async () => {
  await assertNumbers(many(40_000, (random) => random(2 ** 32) - 2 ** 31), "INTEGER", PLAIN);
});

Deno.test("packDifferences() has nothing but a header where there is one value", () => {
  assert.equal(packDifferences(Int32Array.of(3), 1).toHex(), "8001040106");
});

Deno.test("encodePlain() keeps 64 bits that no double holds", async () => {
  const values = BigInt64Array.of(-1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n);
  const { values: encoded, bounds } = encodePlain(new Int32Array(values.buffer.slice(0)));
  const [found] = await readBack(4, [{ type: "BIGINT", chunk: makeChunk(noNulls(4), encoded, bounds) }]);
  assert.deepEqual(found!.map((value) => BigInt(String(value))), [...values]);
});

Deno.test("nullLevels() tells some, all and no nulls, in a row group of any length", async () => {
  for (const rows of [1, 7, 8, 9, 1_000]) {
    for (const isNull of [(i: number) => i % 3 === 1, () => true, () => false]) {
      const valid = Uint8Array.from({ length: rows }, (_, i) => isNull(i) ? 0 : 1);
      const values = Int32Array.from({ length: rows }, (_, i) => 3 * i).filter((_, i) => valid[i] === 1);
      const encoded = encodeNumbers(values, values.length, 4);
      const chunk = makeChunk(nullLevels(valid, rows, rows - values.length), encoded.values, encoded.bounds);
      const [found] = await readBack(rows, [{ type: "INTEGER", chunk }]);
      assert.deepEqual(found, Array.from({ length: rows }, (_, i) => isNull(i) ? null : 3 * i));
    }
  }
});

Deno.test("footerRows() tells the rows of our files and of DuckDB's, and refuses what was not written to its end", async () => {
  const folder = await Deno.makeTempDir(), own = `${folder}/own.parquet`, other = `${folder}/other.parquet`;
  const file = new ParquetFile([column("c0", "INTEGER"), column("c1", "BIGINT[]")], "test"), values = Int32Array.of(1, 2, 3);
  const chunk = makeChunk(noNulls(3), encodeNumbers(values, 3, 4).values, null);
  for (let group = 0; group < 40; group++) file.addRowGroup(3, [chunk, chunk]);
  await Deno.writeFile(own, new Blob(file.finish().map((part) => part.slice())).stream());
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: folder });
  await database.run(
    `copy (select i, i % 2 = 0 as even, [i] as list, 'text' as text from range(300000) t(i)) to '${other}' (format parquet)`,
  );
  assert.deepEqual([await footerRows(own), await footerRows(other)], [120, 300_000]);
  for (const length of [0, 7, 100, (await Deno.stat(other)).size - 1]) {
    await Deno.truncate(other, length);
    await assert.rejects(footerRows(other), SyntaxError, String(length));
  }
  await Deno.remove(folder, { recursive: true });
});
