/** Asks the lake: one `.sql` file under `analytics/` an answer, and what a query's answer covers. */

import type { Answer, Database } from "./duckdb.ts";
import type { Snapshot } from "./lake/delta_log.ts";

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

/** One line on what the answers from the view `flow` rest on. */
export async function coverage(database: Database, snapshot: Snapshot): Promise<string> {
  const [row] = await database.rows(`
    select count(*) as rows, count(distinct coalesce(observer_host_id, observer_address)) as observers,
      strftime(min(window_start), '%Y-%m-%d %H:%M:%S') as first, strftime(max(window_end), '%Y-%m-%d %H:%M:%S') as last
    from flow`);
  if (Number(row!["rows"]) === 0) return `coverage: no rows, version ${snapshot.version}`;
  return `coverage: ${row!["rows"]} rows of ${row!["observers"]} observing hosts, from ${row!["first"]} to ${
    row!["last"]
  } UTC, version ${snapshot.version}`;
}
