/** What collectors told of losses, in words: by agent for the audit, and as a part of the coverage line. */

import type { Database } from "./duckdb.ts";

/** What was lost of some agents, all that was told added up. */
export interface LostAmounts {
  readonly agents: number;
  readonly datagrams: number;
  readonly records: number;
  readonly events: number;
}

/** An agent with losses. */
export interface LossyAgent extends LostAmounts {
  /** Null for those that were not named. */
  readonly address: string | null;
  /** Of other sFlow agents. */
  readonly subAgent: string | null;
  /** When the first and the last of it were found, UTC. */
  readonly since: string;
  readonly until: string;
}

/** One row per agent. What was told as lost and came after all is no loss. */
const LOSSY_AGENTS = `select agent_address, sub_agent_id, max(agent_count) as agents, min(loss_start) as since, max(loss_end) as until,
  sum(datagrams_lost) as datagrams, sum(flow_records_missing) as records, sum(agent_dropped_events) as events
  from agent_loss group by all having datagrams <> 0 or records <> 0 or events <> 0`;

/** Agents with losses, those that lost most first. */
export async function lossyAgents(database: Database, namedMax: number): Promise<readonly LossyAgent[]> {
  const rows = await database.rows(
    `select *, strftime(since, '%Y-%m-%d %H:%M:%S') as since_text, strftime(until, '%Y-%m-%d %H:%M:%S') as until_text
    from (${LOSSY_AGENTS}) order by datagrams + records + events desc, agent_address, sub_agent_id limit ${namedMax}`,
  );
  return rows.map((row) => ({
    ...amountsOf(row),
    address: row["agent_address"] === null ? null : String(row["agent_address"]),
    subAgent: row["sub_agent_id"] === null ? null : String(row["sub_agent_id"]),
    since: String(row["since_text"]),
    until: String(row["until_text"]),
  }));
}

/** The sum of all agents. */
export async function allLosses(database: Database): Promise<LostAmounts> {
  const [row] = await database.rows(`select coalesce(sum(agents), 0) as agents, coalesce(sum(datagrams), 0) as datagrams,
    coalesce(sum(records), 0) as records, coalesce(sum(events), 0) as events from (${LOSSY_AGENTS})`);
  return amountsOf(row!);
}

/** "3 agents lost 120 datagrams and 40 flow records, and dropped 7 events"; the last are those that the agents lost themselves. */
export function lossText(amounts: LostAmounts): string {
  const parts = amountsText(amounts);
  return parts === "" ? "no loss told" : `${counted(amounts.agents, "agent")[0] ?? "agents"} ${parts}`;
}

/** The same without the agents; "" where nothing was lost. */
export function amountsText({ datagrams, records, events }: LostAmounts): string {
  const lost = [...counted(datagrams, "datagram"), ...counted(records, "flow record")];
  return [...(lost.length === 0 ? [] : [`lost ${lost.join(" and ")}`]), ...counted(events, "event").map((text) => `dropped ${text}`)].join(
    ", and ",
  );
}

function counted(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}${count === 1 ? "" : "s"}`];
}

function amountsOf(row: Readonly<Record<string, unknown>>): LostAmounts {
  const of = (name: string) => Number(row[name]);
  return { agents: of("agents"), datagrams: of("datagrams"), records: of("records"), events: of("events") };
}
