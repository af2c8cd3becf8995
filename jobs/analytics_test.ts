/** Each analysis gives its golden answer. */

import assert from "node:assert/strict";
import { analyse, ANALYSES } from "./analytics.ts";
import { Database } from "./duckdb.ts";
import { sqlText } from "./sql_text.ts";
import { formatAnswer } from "./print.ts";

for (const analysis of ANALYSES) {
  Deno.test(`${analysis.name} gives its golden answer`, async () => {
    const base = analysis.file.pathname.replace(/analytics\/(\w+)\.sql$/, "analytics/testdata/$1");
    using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
    await database.run(`create view flow as
      select *, encode(client_address) as client_ip, encode(server_address) as server_ip,
        0 as connections_failed_timeout, 0 as connections_failed_unreachable, 0 as connections_failed_other
      from read_csv(${sqlText(`${base}_input.csv`)})`);
    const answer = formatAnswer(await analyse(database, analysis), "csv", 0);
    assert.equal(answer.replaceAll("\r\n", "\n") + "\n", await Deno.readTextFile(`${base}.csv`));
  });
}
