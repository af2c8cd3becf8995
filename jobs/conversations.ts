/** The views of conversations that every answer rests on: `analytics/views/flow_conversation.sql` tells what a conversation is. */

import { createView } from "./analytics/analysis.ts";
import type { Hour } from "./lake/kept_hours.ts";
import { type Engine, timeLiteral } from "./portable_sql.ts";

/** Views that find the conversations in remaining_flow, each made of those before it. */
export const CONVERSATION_VIEWS = ["shared_key", "whole_conversation", "shared_conversation", "flow_conversation"] as const;

const MINUTE_MS = 60_000;

/** From one time to before another; null for no bound. */
export type Period = readonly [fromMs: number | null, toMs: number | null];

/**
 * Makes the view conversation: of the hours that `conversation_1m` has from there, of all others from their flows; and addressed, the
 * ends of conversations. Bounds of a question that are within a minute are those of flows.
 *
 * @param kept Hours that `conversation_1m` has.
 * @param isFlowKept Whether those found in flows are found once, for all that read them.
 */
export async function createConversations(
  engine: Engine,
  periods: readonly Period[],
  kept: readonly Hour[],
  isFlowKept: boolean,
): Promise<void> {
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
    if (isFlowKept) await engine.keep("flow_conversation");
  }
  if (hours.length > 0) {
    await engine.run(`${periodView("asked_kept", "conversation_1m", periods)} and (${within})`);
    await createView(engine, "kept_conversation");
  }
  if (isRemaining && hours.length > 0) await createView(engine, "conversation");
  else await engine.run(`create or replace temporary view conversation as select * from ${isRemaining ? "flow" : "kept"}_conversation`);
  await engine.run(`create or replace temporary view addressed as select * from conversation`);
}

export async function hasRows(engine: Engine, view: string): Promise<boolean> {
  const [row] = (await engine.table(`select count(*) as found from (select 1 from ${view} limit 1) first_row`)).rows;
  return Number(row?.["found"]) > 0;
}

/** Rows of a table that begin in one of the periods. */
export function periodView(view: string, table: string, periods: readonly Period[]): string {
  const within = periods.map(([fromMs, toMs]) =>
    [
      ...fromMs === null ? [] : [`window_start >= ${timeLiteral(fromMs)}`],
      ...toMs === null ? [] : [`window_start < ${timeLiteral(toMs)}`],
    ].join(" and ") || "true"
  );
  const bounds = within.map((each) => `(${each})`).join(" or ");
  return `create or replace temporary view ${view} as select * from ${table} where (${bounds})`;
}
