/** Each analysis gives its golden answer. */

import assert from "node:assert/strict";
import { analyse, ANALYSES } from "./analytics.ts";
import { formatAnswer } from "./print.ts";
import { EVERYTHING } from "./question.ts";
import { goldenDatabase } from "./testdata/golden.ts";

for (const analysis of ANALYSES) {
  Deno.test(`${analysis.name} gives its golden answer`, async () => {
    const base = analysis.file.pathname.replace(/analytics\/(\w+)\.sql$/, "analytics/testdata/$1");
    using database = await goldenDatabase(`${base}_input.csv`);
    const answer = formatAnswer(await analyse(database, analysis, EVERYTHING), "csv", 0);
    assert.equal(answer.replaceAll("\r\n", "\n") + "\n", await Deno.readTextFile(`${base}.csv`));
  });
}
