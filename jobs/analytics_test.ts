/** Each analysis gives its golden answer: `analytics/testdata/NAME_input.csv` in, `NAME.csv` out. */

import assert from "node:assert/strict";
import { analyse, ANALYSES } from "./analytics.ts";
import { formatAnswer } from "./print.ts";
import { EVERYTHING, type Question } from "./question.ts";
import { at, goldenBase, goldenDatabase, goldenQuestion, TESTDATA } from "./testdata/golden.ts";

for (const analysis of ANALYSES) {
  Deno.test(`${analysis.name} gives its golden answer`, async () => {
    const base = goldenBase(analysis.name);
    using database = await goldenDatabase(`${base}_input.csv`);
    const question = goldenQuestion(analysis.name);
    const answer = formatAnswer(await analyse(database, analysis, question), "csv", 0);
    assert.equal(answer.replaceAll("\r\n", "\n") + "\n", await Deno.readTextFile(`${base}.csv`));
    const none = await analyse(database, analysis, { ...question, where: "1 = 0 -- none" });
    assert.equal(none.rows.length, 0);
  });
}

async function refusal(question: Partial<Question>, name = "upstream"): Promise<string> {
  using database = await goldenDatabase(`${TESTDATA}upstream_input.csv`);
  const analysis = ANALYSES.find((analysis) => analysis.name === name)!;
  try {
    await analyse(database, analysis, { ...EVERYTHING, ...question });
  } catch (error) {
    assert.ok(error instanceof Error && error.name === "QuestionError", String(error));
    return error.message;
  }
  throw new Error("there was an answer");
}

Deno.test("an unknown service is refused, and the nearest names are offered", async () => {
  assert.equal(await refusal({ service: "Stor" }), 'Cannot find service "Stor": the nearest are "store", "api", "cart"');
});

Deno.test("a time of which the lake has nothing is refused, with what it has", async () => {
  assert.equal(
    await refusal({ service: "store", fromMs: at(5) }),
    "Cannot answer about the time from 2026-01-02 05:00:00: the lake has no flow of it, only from 2026-01-02 03:04:00+00 to 2026-01-02 03:04:00+00",
  );
  assert.match(await refusal({ service: "store", fromMs: at(5), toMs: at(4) }), /it ends before it begins/);
});

Deno.test("two times that overlap are not compared", async () => {
  const period = { fromMs: at(3), toMs: at(3) + 60_000, spanMs: 3_600_000 };
  assert.match(await refusal(period, "graph-diff"), /the two times overlap, needed --to at least a span after --from/);
});
