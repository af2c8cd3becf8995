/** Whether what we committed is still in the log: another program may have written its own version over it. */

import { overwrittenCommits } from "../lake/own_commits.ts";
import { tableDirectory } from "../lake/table.ts";
import { AGENT_LOSS, DEAD_LETTER, EDGE_1M, FLOW, TABLES } from "../lake/tables.ts";
import type { Check, Problem } from "./finding.ts";

/** By table, the job whose next run puts back what is missing, or makes it again. */
const JOBS: Readonly<Record<string, string>> = {
  [FLOW.name]: "etl --topic URL",
  [DEAD_LETTER.name]: "etl --topic URL",
  [AGENT_LOSS.name]: "etl --topic URL",
  [EDGE_1M.name]: "dependencies --topic URL",
};

export function checkOwnCommits(lake: string): Check {
  const problems = TABLES.flatMap((table): Problem[] =>
    overwrittenCommits(tableDirectory(lake, table)).map((version) => ({
      where: `table "${table.name}" version ${version}`,
      what: "another program has written its own commit over ours",
      repair: `jobs run ${JOBS[table.name] ?? "compact"} --lake ${lake}, and let that program use the log store of docs/reference/spark.md`,
    }))
  );
  return { name: "own commits", examined: `${TABLES.length} tables`, problems };
}
