/** Topics and lakes for the jobs' tests. */

import { encodeFlowBatch } from "../../lib/flow_batch.ts";
import { flowBatch, START_US } from "../../lib/testdata/flow_batch.ts";
import { openProducer } from "../../lib/topic/open.ts";
import type { Row } from "../duckdb.ts";
import { withLake } from "../query.ts";

/** A topic of two partitions, and a place for a lake. */
export interface TestPlace {
  readonly directory: string;
  readonly topic: string;
  readonly lake: string;
}

export async function newPlace(): Promise<TestPlace> {
  const directory = await Deno.makeTempDir();
  return { directory, topic: `sqlite:${directory}/topic.db?partitions=2`, lake: `${directory}/lake` };
}

/** Rows of a message of `publishFlows()`. */
export const MESSAGE_ROWS = 50;
const MESSAGE_US = 20 * 60_000_000;

/** Publishes `messages` messages over both partitions; each begins 20 minutes after the one before. */
export async function publishFlows(topic: string, messages: number, seed: number): Promise<void> {
  await using producer = await openProducer(topic);
  for (let i = 0; i < messages; i++) {
    await producer.publish([{ partition: i % 2, value: encodeFlowBatch(flowBatch(MESSAGE_ROWS, seed + i, START_US + i * MESSAGE_US)) }]);
  }
}

export function ask(lake: string, sql: string): Promise<readonly Row[]> {
  return withLake(lake, (database) => database.rows(sql));
}
