/** What changed in the dependency graph between two times. */

import { type Engine, valuesView } from "../portable_sql.ts";
import { type Question, QuestionError } from "../question.ts";
import { type Analysis, sqlFile } from "./analysis.ts";

export const graphDiff: Analysis = {
  name: "graph-diff",
  description: "edges that came, went, or changed in rate or losses, between the times that begin at --from and at --to",
  file: sqlFile("graph_diff"),
  parameters: ["span", "rollup"],
  isGraph: true,
  reads: "conversations once",
  prepare: async (engine: Engine, { fromMs, toMs, spanMs }: Question) => {
    if (fromMs === null || toMs === null || spanMs === null) {
      throw new QuestionError("Cannot compare: two times are needed, --from and --to");
    }
    if (toMs < fromMs + spanMs) {
      throw new QuestionError("Cannot compare: the two times overlap, needed --to at least a span after --from");
    }
    const columns = [["before_end", "time"], ["after_start", "time"]] as const;
    await engine.run(valuesView("compared_time", columns, [[fromMs + spanMs, toMs]]));
  },
};
