/** Where partitions are, as commits to `edge_1m` keep it: in `txn` actions, which every later version of the table has. */

import type { PartitionState } from "./partition.ts";

const JOB = "skyfall-dependencies";

interface Ids {
  readonly offset: string;
  readonly readFrom: string;
  readonly closedBefore: string;
}

function idsOf(topicName: string, partition: number): Ids {
  const place = `${topicName}:${partition}`;
  return { offset: `${JOB}:${place}`, readFrom: `${JOB}-read-from:${place}`, closedBefore: `${JOB}-closed-before:${place}` };
}

/** State of a partition by the table's transactions, or null where it was never read. */
export function positionOf(transactions: ReadonlyMap<string, bigint>, topicName: string, partition: number): PartitionState | null {
  const ids = idsOf(topicName, partition);
  const offset = transactions.get(ids.offset), readFrom = transactions.get(ids.readFrom), closedBefore = transactions.get(ids.closedBefore);
  if (offset === undefined || readFrom === undefined || closedBefore === undefined) return null;
  return { offset, readFrom, closedBefore: Number(closedBefore) };
}

/** The same as transactions to commit. */
export function positionTransactions(topicName: string, partition: number, state: PartitionState): readonly (readonly [string, bigint])[] {
  const ids = idsOf(topicName, partition);
  return [[ids.offset, state.offset], [ids.readFrom, state.readFrom], [ids.closedBefore, BigInt(state.closedBefore)]];
}

/** Transaction that tells up to which offset a partition's edges are in a topic of edges. */
export function publishedId(topicName: string, partition: number, outputName: string): string {
  return `${JOB}-published:${topicName}:${partition}:${outputName}`;
}
