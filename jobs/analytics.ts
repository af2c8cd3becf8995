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
import type { Hour } from "./lake/kept_hours.ts";
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

/** Views that find the conversations in remaining_flow, each made of those before it. */
export const CONVERSATION_VIEWS = ["shared_key", "whole_conversation", "shared_conversation", "flow_conversation"] as const;

/** Views that name the conversations, each made of those before it. */
const NAME_VIEWS = ["listener", "address_name", "named_conversation"] as const;

const MINUTE_MS = 60_000;

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
  await createView(engine, "named_edge");
  if (analysis.reads === "edges") await engine.keep("named_edge");
  await createHistory(engine, question, analysis.needsHistory ?? false);
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
    await createConversations(engine, earlier(baselineMs), kept, reads !== undefined);
  } else {
    await createView(engine, "edge_conversation", "conversation");
    await createEdgeAddresses(engine, periods, names !== null);
  }
  await engine.run(periodView("inventory_flow", "flow", earlier(baselineMs + LISTENER_MS)));
  await createView(engine, "unnamed_server");
  await engine.keep("unnamed_server");
  await engine.run(valuesView("asked_time", [["asked_from", "time"]], [[fromMs]]));
  await engine.run(await nameRangesView(names));
  await engine.run(reverseNamesView([]));
  for (const view of NAME_VIEWS) await createView(engine, view);
  if (reverseDns !== null) await engine.run(reverseNamesView(await reverseNames(engine, reverseDns)));
}

/**
 * Makes the view conversation: of the hours that `conversation_1m` has from there, of all others from their flows; and addressed, the
 * ends of conversations. Bounds of a question that are within a minute are those of flows.
 */
async function createConversations(engine: Engine, periods: readonly Period[], kept: readonly Hour[], isReadOnce: boolean): Promise<void> {
  const hours = periods.flat().every((ms) => ms === null || ms % MINUTE_MS === 0) ? kept : [];
  const within = hours.length === 0
    ? "false"
    : [...Map.groupBy(hours, ({ date }) => date)].map(([date, ofDate]) =>
      `date = date '${date}' and hour in (${ofDate.map(({ hour }) => Number(hour)).join(", ")})`
    ).join(" or ");
  await engine.run(periodView("asked_flow", "flow", periods));
  await engine.run(
    `create or replace temporary view remaining_flow as select * from asked_flow where ${hours.length === 0 ? "true" : `not (${within})`}`,
  );
  const isRemaining = hours.length === 0 || await hasRows(engine, "remaining_flow");
  if (isRemaining) {
    for (const view of CONVERSATION_VIEWS) await createView(engine, view);
    if (!isReadOnce) await engine.keep("flow_conversation");
  }
  if (hours.length > 0) {
    await engine.run(`${periodView("asked_kept", "conversation_1m", periods)} and (${within})`);
    await createView(engine, "kept_conversation");
  }
  if (isRemaining && hours.length > 0) await createView(engine, "conversation");
  else await engine.run(`create or replace temporary view conversation as select * from ${isRemaining ? "flow" : "kept"}_conversation`);
  await engine.run(`create or replace temporary view addressed as
    select client_address, client_ip, server_address, server_ip from conversation`);
}

async function hasRows(engine: Engine, view: string): Promise<boolean> {
  const [row] = (await engine.table(`select count(*) as found from (select 1 from ${view} limit 1) first_row`)).rows;
  return Number(row?.["found"]) > 0;
}

/** Of edges only an end without a name is looked for in the flows: they are not read where there is none. */
async function createEdgeAddresses(engine: Engine, asked: readonly Period[], hasNames: boolean): Promise<void> {
  const [row] =
    (await engine.table("select count(*) as ends from asked_edge where client_service_name = '' or server_service_name = ''")).rows;
  const isAsked = hasNames && Number(row?.["ends"]) > 0;
  await engine.run(
    isAsked ? periodView("asked_flow", "flow", asked) : "create or replace temporary view asked_flow as select * from flow where false",
  );
  await engine.run(
    "create or replace temporary view addressed as select client_address, client_ip, server_address, server_ip from asked_flow",
  );
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
