/** Asks the lake: one `.sql` file under `analytics/` an answer. */

import { dependencyGraph } from "./analytics/dependency_graph.ts";
import { createConversations, hasRows, type Period, periodView } from "./conversations.ts";
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
import type { Hour } from "./lake/kept_hours.ts";
import { type Answer, type Engine, valuesView } from "./portable_sql.ts";
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
 * @param kept Hours of `flow` whose conversations the view `conversation_1m` has.
 * @throws {QuestionError} If it cannot be answered as it is asked.
 * @throws {SyntaxError} If a file that it needs is wrong.
 */
export async function analyse(
  engine: Engine,
  analysis: Analysis,
  question: Question = EVERYTHING,
  kept: readonly Hour[] = [],
): Promise<Answer> {
  await prepareViews(engine, question, kept, analysis);
  await createEdges(engine, [analysis]);
  await createHistory(engine, question, [analysis]);
  return await answerOf(engine, analysis, question);
}

/** Several analyses without a baseline, of the same conversations. Throws as `analyse()` does. */
export async function analyseEach(
  engine: Engine,
  analyses: readonly Analysis[],
  question: Question,
  kept: readonly Hour[],
): Promise<Answer[]> {
  await prepareViews(engine, question, kept);
  await createEdges(engine, analyses);
  await createHistory(engine, question, analyses);
  const answers: Answer[] = [];
  for (const analysis of analyses) answers.push(await answerOf(engine, analysis, question));
  return answers;
}

async function createEdges(engine: Engine, analyses: readonly Analysis[]): Promise<void> {
  const all = analyses.map(({ reads }) => reads);
  if (all.includes("edges") || all.includes("edges once")) await createView(engine, "named_edge");
  if (all.includes("edges")) await engine.keep("named_edge");
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
export async function prepareViews(
  engine: Engine,
  question: Question,
  kept: readonly Hour[] = [],
  { baselineMs = 0, reads }: Pick<Analysis, "baselineMs" | "reads"> = {},
): Promise<void> {
  const { fromMs, toMs, names, reverseDns, rollup } = question;
  const periods = askedPeriods(question);
  for (const macro of engine.macros) await engine.run(macro);
  const earlier = (ms: number): Period[] => periods.map(([from, to]) => [from === null ? null : from - ms, to]);
  await engine.run(rollup === null ? periodView("asked_flow", "flow", periods) : periodView("asked_edge", rollup, periods));
  if (fromMs !== null || toMs !== null) await assertPeriod(engine, question);
  if (rollup === null) {
    await createConversations(engine, earlier(baselineMs), kept, reads === undefined || names !== null);
  } else {
    await createView(engine, "edge_conversation", "conversation");
    if (names !== null) await engine.run(periodView("addressed", "flow", periods));
  }
  await engine.run(valuesView("asked_time", [["asked_from", "time"]], [[fromMs]]));
  await createListeners(engine, earlier(baselineMs + LISTENER_MS), rollup !== null);
  await createAddressNames(engine, names);
  await engine.run(reverseNamesView([]));
  await createView(engine, "named_conversation");
  if (reverseDns !== null) await engine.run(reverseNamesView(await reverseNames(engine, reverseDns)));
}

/** Makes inventory_flow, and the view listener: empty, so that flows are not read, where a report named every server. */
async function createListeners(engine: Engine, periods: readonly Period[], isOfEdges: boolean): Promise<void> {
  await createView(engine, "unnamed_server");
  await engine.keep("unnamed_server");
  const isAsked = await hasRows(engine, "unnamed_server");
  if (isAsked || !isOfEdges) await engine.run(periodView("inventory_flow", "flow", periods));
  if (isAsked) return await createView(engine, "listener");
  const key = [["network_transport", "text"], ["server_address", "text"], ["server_port", "whole"]] as const;
  await engine.run(valuesView("listener", [...key, ["service", "text"], ["valid_from", "time"], ["valid_to", "time"]], []));
}

/** Makes the view address_name: empty, so that conversations are not read, where no names are given. */
async function createAddressNames(engine: Engine, names: string | null): Promise<void> {
  await engine.run(await nameRangesView(names));
  if (names !== null) return await createView(engine, "address_name");
  await engine.run(
    valuesView("address_name", [["address", "text"], ["service", "text"], ["valid_from", "time"], ["valid_to", "time"]], []),
  );
}

/** Makes history_flow, and asked_history, which says whether there is a time before the one that is asked about. */
async function createHistory(engine: Engine, { fromMs }: Question, analyses: readonly Analysis[]): Promise<void> {
  if (!analyses.some(({ views }) => views?.includes("address_zone"))) return;
  const isNeeded = analyses.some(({ needsHistory }) => needsHistory);
  const hasHistory = isNeeded && fromMs !== null;
  await engine.run(
    hasHistory
      ? periodView("history_flow", "flow", [[fromMs - HISTORY_MS, fromMs]])
      : "create or replace temporary view history_flow as select * from flow where false",
  );
  await engine.run(valuesView("asked_history", [["has_history", "whole"]], [[hasHistory ? 1 : 0]]));
}

function askedPeriods({ fromMs, toMs, spanMs }: Question): Period[] {
  if (spanMs === null || fromMs === null || toMs === null) return [[fromMs, toMs]];
  return [[fromMs, fromMs + spanMs], [toMs, toMs + spanMs]];
}
