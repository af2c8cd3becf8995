/** Asks the lake: one `.sql` file under `analytics/` an answer. */

import type { Answer, Database } from "./duckdb.ts";

/** An answer that can be asked for by name. */
export interface Analysis {
  readonly name: string;
  readonly description: string;
  readonly file: URL;
}

export const ANALYSES: readonly Analysis[] = [
  {
    name: "dependency-graph",
    description: "which service depends on which: connections, bytes, retransmissions and round-trip time of every edge",
    file: new URL("analytics/dependency_graph.sql", import.meta.url),
  },
];

/** Runs an analysis on the view `flow`. */
export async function analyse(database: Database, analysis: Analysis): Promise<Answer> {
  return await database.table(await Deno.readTextFile(analysis.file));
}
