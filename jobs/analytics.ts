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

/** Views that name the conversations, each made of those before it. */
const NAME_VIEWS = ["listener", "address_name", "named_conversation"] as const;

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
  return await answerOf(engine, analysis, question);
}

/** Several analyses without a baseline, of the same conversations, which are found once. Throws as `analyse()` does. */
export async function analyseEach(engine: Engine, analyses: readonly Analysis[], question: Question): Promise<Answer[]> {
  await prepareViews(engine, question);
  await engine.keep("named_conversation");
  await createHistory(engine, question, analyses.some(({ needsHistory }) => needsHistory));
  const answers: Answer[] = [];
  for (const analysis of analyses) answers.push(await answerOf(engine, analysis, question));
  return answers;
}

async function answerOf(engine: Engine, analysis: Analysis, question: Question): Promise<Answer> {
  await analysis.prepare?.(engine, question);
  for (const view of analysis.views ?? []) await createView(engine, view);
  const sql = await Deno.readTextFile(analysis.file);
  if (question.where === null) return await engine.table(sql);
  const at = sql.lastIndexOf(ROWS) + ROWS.length;
  return await engine.ask(`${sql.slice(0, at)}where (\n${question.where}\n)\n${sql.slice(at)}`, ANSWER_MS);
}

/** Makes the views of the conversations that a question is about, with the names that it gives. */
export async function prepareViews(engine: Engine, question: Question, baselineMs = 0): Promise<void> {
  const { fromMs, toMs, names, reverseDns, rollup } = question;
  const periods = askedPeriods(question);
  for (const macro of engine.macros) await engine.run(macro);
  const earlier = (ms: number): Period[] => periods.map(([from, to]) => [from === null ? null : from - ms, to]);
  if (rollup === null) {
    await engine.run(periodView("asked_flow", "flow", periods));
    if (fromMs !== null || toMs !== null) await assertPeriod(engine, question);
    await engine.run(periodView("asked_flow", "flow", earlier(baselineMs)));
    await engine.run(periodView("inventory_flow", "flow", earlier(baselineMs + LISTENER_MS)));
    await createView(engine, "conversation");
  } else {
    await engine.run(periodView("asked_edge", rollup, periods));
    if (fromMs !== null || toMs !== null) await assertPeriod(engine, question);
    await createUnnamedViews(engine, periods, earlier(LISTENER_MS), names !== null);
    await createView(engine, "edge_conversation", "conversation");
  }
  await engine.run(valuesView("asked_time", [["asked_from", "time"]], [[fromMs]]));
  await engine.run(await nameRangesView(names));
  await engine.run(reverseNamesView([]));
  for (const view of NAME_VIEWS) await createView(engine, view);
  if (reverseDns !== null) await engine.run(reverseNamesView(await reverseNames(engine, reverseDns)));
}

/** Of edges only an end without a name is looked for in the flows: they are not read where there is none. */
async function createUnnamedViews(
  engine: Engine,
  asked: readonly Period[],
  inventory: readonly Period[],
  hasNames: boolean,
): Promise<void> {
  const [row] = (await engine.table(`
    select count(case when server_service_name = '' then 1 end) as servers,
      count(case when client_service_name = '' or server_service_name = '' then 1 end) as ends
    from asked_edge`)).rows;
  const never = (view: string) => `create or replace temporary view ${view} as select * from flow where false`;
  const isListenerAsked = Number(row?.["servers"]) > 0, isNameAsked = hasNames && Number(row?.["ends"]) > 0;
  await engine.run(
    isListenerAsked
      ? `${periodView("inventory_flow", "flow", inventory)} and server_address in (
        select server_address from asked_edge where server_service_name = '')`
      : never("inventory_flow"),
  );
  await engine.run(isNameAsked ? periodView("asked_flow", "flow", asked) : never("asked_flow"));
}

/** Makes history_flow, and asked_history, which says whether there is a time before the one that is asked about. */
async function createHistory(engine: Engine, { fromMs }: Question, isNeeded: boolean): Promise<void> {
  const hasHistory = isNeeded && fromMs !== null;
  await engine.run(
    hasHistory
      ? periodView("history_flow", "flow", [[fromMs - HISTORY_MS, fromMs]])
      : "create or replace temporary view history_flow as select * from flow where false",
  );
  await engine.run(valuesView("asked_history", [["has_history", "whole"]], [[hasHistory ? 1 : 0]]));
}

type Period = readonly [fromMs: number | null, toMs: number | null];

function askedPeriods({ fromMs, toMs, spanMs }: Question): Period[] {
  if (spanMs === null || fromMs === null || toMs === null) return [[fromMs, toMs]];
  return [[fromMs, fromMs + spanMs], [toMs, toMs + spanMs]];
}

/** Rows of a table that begin in one of the periods. */
function periodView(view: string, table: string, periods: readonly Period[]): string {
  const within = periods.map(([fromMs, toMs]) =>
    [
      ...fromMs === null ? [] : [`window_start >= ${timeLiteral(fromMs)}`],
      ...toMs === null ? [] : [`window_start < ${timeLiteral(toMs)}`],
    ].join(" and ") || "true"
  );
  const bounds = within.map((each) => `(${each})`).join(" or ");
  return `create or replace temporary view ${view} as select * from ${table} where (${bounds})`;
}
