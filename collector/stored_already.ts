/** Finds out which messages a topic took from a collector that was killed before it could note so. */

import type { TopicConsumer } from "../lib/topic/topic.ts";
import type { RowMessage } from "./rows.ts";
import type { TopicEnds } from "./spool.ts";

const READ_BYTES = 16 * 1024 * 1024;

/** Where the partitions end now. */
export async function topicEnds(consumer: TopicConsumer, partitions: Iterable<number>): Promise<Map<number, bigint>> {
  const ends = [...new Set(partitions)].map(async (partition) => [partition, (await consumer.offsets(partition)).end] as const);
  return new Map(await Promise.all(ends));
}

/**
 * Those of the messages that the topic holds at or behind `from`, byte for byte. Rows carry the microsecond in which they began
 * and their observer, so that equal messages are one message.
 *
 * @param messages In the order in which they were published; a topic keeps that of each partition.
 */
export async function storedAlready(consumer: TopicConsumer, messages: readonly RowMessage[], from: TopicEnds): Promise<Set<RowMessage>> {
  const stored = new Set<RowMessage>();
  for (const [partition, expected] of Map.groupBy(messages, (message) => message.partition)) {
    const { begin, end } = await consumer.offsets(partition);
    const first = from.get(partition) ?? begin;
    let next = 0;
    for (let offset = first < begin ? begin : first; offset < end && next < expected.length;) {
      for (const { value, offset: at } of await consumer.read(partition, offset, READ_BYTES)) {
        offset = at + 1n;
        if (next < expected.length && isEqual(value, expected[next]!.value)) stored.add(expected[next++]!);
      }
    }
  }
  return stored;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
