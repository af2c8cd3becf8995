/**
 * What was lost before it reached a collector, as a topic message tells it beside its rows: in the metadata of its Arrow schema, as
 * JSON, so that whoever does not ask for it reads the rows as ever.
 */

import { z } from "zod";

/** Key of the metadata. */
const AGENT_LOSS_KEY = "skyfall.agent_loss";

/** Above what a collector names at once. */
const LOSSES_MAX = 1_024;
const ADDRESS_LENGTH_MAX = 45;
/** Partitions of the lake have years of four digits. */
const YEAR_2200_US = Date.UTC(2200, 0) * 1_000;

const timeUs = z.int().min(0).max(YEAR_2200_US);

/**
 * What was found missing of an agent's datagrams, as the columns of `agent_loss` have it. Amounts may always be added up: one is
 * less than 0 where something came after all that was told as lost before.
 */
const AgentLoss = z.object({
  /** Microseconds since 1970 UTC. */
  loss_start: timeUs,
  loss_end: timeUs,
  /** Null for agents that are not named. */
  agent_address: z.string().max(ADDRESS_LENGTH_MAX).nullable(),
  /** Null for our own agents, all of whose lanes are one, and for agents that are not named. */
  sub_agent_id: z.int().min(0).max(0xffff_ffff).nullable(),
  agent_count: z.int().min(0).max(0x7fff_ffff),
  datagrams_lost: z.int(),
  flow_records_missing: z.int(),
  agent_dropped_events: z.int(),
});
export type AgentLoss = z.infer<typeof AgentLoss>;

/** Metadata that tells of losses; none where there are none. */
export function lossMetadata(losses: readonly AgentLoss[]): [key: string, value: string][] {
  return losses.length === 0 ? [] : [[AGENT_LOSS_KEY, JSON.stringify(losses)]];
}

/** @throws {SyntaxError} If the metadata tells of losses otherwise than `lossMetadata()`. */
export function readLosses(metadata: ReadonlyMap<string, string>): AgentLoss[] {
  const text = metadata.get(AGENT_LOSS_KEY);
  if (text === undefined) return [];
  const parsed = z.array(AgentLoss).max(LOSSES_MAX).safeParse(readJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SyntaxError(`Cannot decode flow batch: metadata "${AGENT_LOSS_KEY}" at "${issue!.path.join(".")}": ${issue!.message}`);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`Cannot decode flow batch: metadata "${AGENT_LOSS_KEY}" is no JSON`, { cause });
  }
}
