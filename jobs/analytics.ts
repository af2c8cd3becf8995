/** Asks the lake: one `.sql` file under `analytics/` an answer, and what a query's answer covers. */

import type { Database } from "./duckdb.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { nameRangesView, reverseNamesView } from "./names.ts";
import { type Answer, type Engine, timeLiteral } from "./portable_sql.ts";
import { reverseNames } from "./reverse_dns.ts";
import { EVERYTHING, type Question } from "./question.ts";

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

/** Views that the analyses read, each made of those before it. */
const VIEWS = ["conversation", "listener", "address_name", "named_conversation"] as const;

/** How long before the time that is asked about listeners are looked for; as long as `listener.sql` takes them to be there. */
const LISTENER_MS = 3_600_000;

/** Runs an analysis on the view `flow`. */
export async function analyse(engine: Engine, analysis: Analysis, question: Question = EVERYTHING): Promise<Answer> {
  await prepareViews(engine, question);
  return await engine.table(await Deno.readTextFile(analysis.file));
}

/** Makes the views of the conversations that a question is about, with the names that it gives. */
export async function prepareViews(engine: Engine, { fromMs, toMs, names, reverseDns }: Question): Promise<void> {
  await engine.run(periodView("asked_flow", fromMs, toMs));
  await engine.run(periodView("inventory_flow", fromMs === null ? null : fromMs - LISTENER_MS, toMs));
  await engine.run(await nameRangesView(names));
  await engine.run(reverseNamesView([]));
  for (const view of VIEWS) {
    const sql = await Deno.readTextFile(new URL(`analytics/views/${view}.sql`, import.meta.url));
    await engine.run(`create or replace temporary view ${view} as ${sql}`);
  }
  if (reverseDns !== null) await engine.run(reverseNamesView(await reverseNames(engine, reverseDns)));
}

function periodView(view: string, fromMs: number | null, toMs: number | null): string {
  const bounds = [
    ...fromMs === null ? [] : [`window_start >= ${timeLiteral(fromMs)}`],
    ...toMs === null ? [] : [`window_start < ${timeLiteral(toMs)}`],
  ];
  return `create or replace temporary view ${view} as select * from flow${bounds.length === 0 ? "" : ` where ${bounds.join(" and ")}`}`;
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
