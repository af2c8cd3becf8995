/** Whose failure an error of DuckDB is. */

import assert from "node:assert/strict";
import { Database, QueryError } from "./duckdb.ts";

const FAILURES: readonly (readonly [sql: string, isSystemFailure: boolean])[] = [
  ["copy (select 1) to '/proc/version/x.csv'", true],
  ["select count(distinct range) from range(100000000)", true],
  ["select nothing", false],
  ["select 1 +", false],
  ["select 'x'::integer", false],
];

for (const [sql, isSystemFailure] of FAILURES) {
  Deno.test(`${sql}: ${isSystemFailure ? "the machine's failure" : "misuse"}`, async () => {
    const temporaryDirectory = "/proc/version/no-room";
    using database = await Database.open({ memoryLimit: "16MB", temporaryDirectory });
    await assert.rejects(database.rows(sql), (error) => error instanceof QueryError && error.isSystemFailure === isSystemFailure);
  });
}

Deno.test("table() gives each column its own name, and each row its own values, also of more rows than a chunk has", async () => {
  using database = await Database.open({ memoryLimit: "100MB", temporaryDirectory: await Deno.makeTempDir() });
  const { columns, rows } = await database.table("select i as a, -i as a, 'x' || i as b from range(3000) r(i)");
  assert.deepEqual(columns, [{ name: "a", isNumber: true }, { name: "a:1", isNumber: true }, { name: "b", isNumber: false }]);
  assert.equal(rows.length, 3_000);
  assert.deepEqual(rows[2_999], { "a": "2999", "a:1": "-2999", "b": "x2999" });
  assert.deepEqual((await database.table("select 1 as a where false")).rows, []);
});
