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
