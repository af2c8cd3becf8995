/** Asks the lake: one `.sql` file under `analytics/` an answer. */

import { dependencyGraph } from "./analytics/dependency_graph.ts";
import { type Analysis, createView } from "./analytics/analysis.ts";
import { graphDiff } from "./analytics/graph_diff.ts";
import { bottlenecks } from "./analytics/bottlenecks.ts";
import { capacity } from "./analytics/capacity.ts";
import { linkFailure } from "./analytics/link_failure.ts";
import { talkers } from "./analytics/talkers.ts";
import { hubs } from "./analytics/hubs.ts";
import { unmanaged } from "./analytics/unmanaged.ts";
import { zoneCrossings } from "./analytics/zone_crossings.ts";
import { downstream, upstream } from "./analytics/neighbours.ts";
import { nameRangesView, reverseNamesView } from "./names.ts";
import { type Answer, type Engine, timeLiteral, valuesView } from "./portable_sql.ts";
import { assertPeriod, EVERYTHING, type Question } from "./question.ts";
import { reverseNames } from "./reverse_dns.ts";

export const ANALYSES: readonly Analysis[] = [
  dependencyGraph,
  upstream,
  downstream,
  graphDiff,
  hubs,
  zoneCrossings,
  unmanaged,
  talkers,
  capacity,
  linkFailure,
  bottlenecks,
];

/** Views that the analyses read, each made of those before it. */
const VIEWS = ["conversation", "listener", "address_name", "named_conversation"] as const;

/** How long before the time that is asked about listeners are looked for; as long as `listener.sql` takes them to be there. */
const LISTENER_MS = 3_600_000;

/** What is not seen for so long is new when it comes. */
const HISTORY_MS = 30 * 86_400_000;

/** How long an answer with a condition of somebody's may take. */
const ANSWER_MS = 3_600_000;

/** With which the rows of every answer come, in its file. */
const ROWS = "\nselect * from final\n";

/**
 * Runs an analysis on the view `flow`.
 *
 * @throws {QuestionError} If it cannot be answered as it is asked.
 * @throws {SyntaxError} If a file that it needs is wrong.
 */
export async function analyse(engine: Engine, analysis: Analysis, question: Question = EVERYTHING): Promise<Answer> {
  await prepareViews(engine, question, analysis.baselineMs ?? 0);
  if (!analysis.readsOnce) await engine.keep("named_conversation");
  await createHistory(engine, question, analysis.needsHistory ?? false);
  await analysis.prepare?.(engine, question);
  for (const view of analysis.views ?? []) await createView(engine, view);
  const sql = await Deno.readTextFile(analysis.file);
  if (question.where === null) return await engine.table(sql);
  const at = sql.lastIndexOf(ROWS) + ROWS.length;
  return await engine.ask(`${sql.slice(0, at)}where (\n${question.where}\n)\n${sql.slice(at)}`, ANSWER_MS);
}

/** Makes the views of the conversations that a question is about, with the names that it gives. */
export async function prepareViews(engine: Engine, question: Question, baselineMs = 0): Promise<void> {
  const { fromMs, toMs, names, reverseDns } = question;
  const periods = askedPeriods(question);
  for (const macro of engine.macros) await engine.run(macro);
  const earlier = (ms: number): Period[] => periods.map(([from, to]) => [from === null ? null : from - ms, to]);
  await engine.run(flowView("asked_flow", periods));
  if (fromMs !== null || toMs !== null) await assertPeriod(engine, question);
  await engine.run(flowView("asked_flow", earlier(baselineMs)));
  await engine.run(flowView("inventory_flow", earlier(baselineMs + LISTENER_MS)));
  await engine.run(valuesView("asked_time", [["asked_from", "time"]], [[fromMs]]));
  await engine.run(await nameRangesView(names));
  await engine.run(reverseNamesView([]));
  for (const view of VIEWS) await createView(engine, view);
  if (reverseDns !== null) await engine.run(reverseNamesView(await reverseNames(engine, reverseDns)));
}

/** Makes history_flow, and asked_history, which says whether there is a time before the one that is asked about. */
async function createHistory(engine: Engine, { fromMs }: Question, isNeeded: boolean): Promise<void> {
  const hasHistory = isNeeded && fromMs !== null;
  await engine.run(
    hasHistory
      ? flowView("history_flow", [[fromMs - HISTORY_MS, fromMs]])
      : "create or replace temporary view history_flow as select * from flow where false",
  );
  await engine.run(valuesView("asked_history", [["has_history", "whole"]], [[hasHistory ? 1 : 0]]));
}

type Period = readonly [fromMs: number | null, toMs: number | null];

function askedPeriods({ fromMs, toMs, spanMs }: Question): Period[] {
  if (spanMs === null || fromMs === null || toMs === null) return [[fromMs, toMs]];
  return [[fromMs, fromMs + spanMs], [toMs, toMs + spanMs]];
}

function flowView(view: string, periods: readonly Period[]): string {
  const within = periods.map(([fromMs, toMs]) =>
    [
      ...fromMs === null ? [] : [`window_start >= ${timeLiteral(fromMs)}`],
      ...toMs === null ? [] : [`window_start < ${timeLiteral(toMs)}`],
    ].join(" and ") || "1 = 1" // Spark takes "where (true)" for the name of a column of an alias
  );
  return `create or replace temporary view ${view} as select * from flow where ${within.map((bounds) => `(${bounds})`).join(" or ")}`;
}
