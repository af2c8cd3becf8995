/** Whether the sequences of the agents' datagrams have holes, as collectors found them. */

import { z } from "zod";
import type { Database } from "../duckdb.ts";
import { listLog, readVersionIfPresent } from "../lake/delta_log.ts";
import { amountsText, type LossyAgent, lossyAgents } from "../losses.ts";
import { DROPPING } from "./history.ts";
import type { Check } from "./finding.ts";

const NAMED_MAX = 50;
const DAY_MS = 86_400_000;
const Partition = z.looseObject({ date: z.string() });

/** Holes are nobody's mistake in the lake: they are told, and nothing puts them right. */
export async function checkLosses(database: Database): Promise<Check> {
  const agents = await lossyAgents(database, NAMED_MAX + 1);
  const [counts] = await database.rows("select count(*) as rows from agent_loss");
  const told = agents.slice(0, NAMED_MAX).map(describe);
  return {
    name: "agent sequences have no holes",
    examined: `${counts!["rows"]} rows of agent_loss`,
    problems: [],
    told: agents.length > NAMED_MAX ? [...told, `and others; these ${NAMED_MAX} lost most, and the table agent_loss has all`] : told,
  };
}

function describe(agent: LossyAgent): string {
  const { address, subAgent, since, until } = agent;
  const name = address === null ? "agents that are not named" : `agent ${address}${subAgent === null ? "" : `, sub-agent ${subAgent},`}`;
  return `${name} ${amountsText(agent)} between ${since} and ${until} UTC`;
}

/** Days of `agent_loss` that are no longer kept, or not as a whole, by that version where one is given, as days since 1970. */
export async function droppedDays(directory: string, asOf?: bigint): Promise<Set<number>> {
  const dropped = new Set<number>();
  for (const version of listLog(directory).versions) {
    if (asOf !== undefined && version > asOf) break;
    const actions = await readVersionIfPresent(directory, version) ?? [];
    if (!actions.some(({ commitInfo }) => DROPPING.has(commitInfo?.operation ?? ""))) continue;
    for (const { remove } of actions) if (remove?.dataChange) dropped.add(dayOf(remove["partitionValues"]));
  }
  return dropped;
}

function dayOf(partitionValues: unknown): number {
  return Date.parse(`${Partition.parse(partitionValues).date}T00:00:00Z`) / DAY_MS;
}
