/** The topic as the publisher sees it: opened now, or when it is back. */

import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { type TopicConsumer, TopicError, type TopicProducer } from "../lib/topic/topic.ts";
import type { TopicAccess } from "./publish.ts";

/**
 * Opens a topic for writing.
 *
 * @param partitionCount What the topic is known to have, so that it may be away now; null where it must be there.
 * @throws {TopicError} If it must be there and cannot be opened.
 */
export async function openTopic(url: string, partitionCount: number | null): Promise<TopicAccess & AsyncDisposable> {
  let producer: TopicProducer | null = null, consumer: TopicConsumer | null = null;
  try {
    producer = await openProducer(url);
  } catch (error) {
    if (!(error instanceof TopicError) || partitionCount === null) throw error;
  }
  const expected = producer?.partitionCount ?? partitionCount!;
  return {
    partitionCount: expected,
    async producer() {
      producer ??= await openProducer(url);
      if (producer.partitionCount !== expected) {
        throw new Error(`Cannot go on: topic "${url}" has ${producer.partitionCount} partitions, needed ${expected}; start again`);
      }
      return producer;
    },
    async consumer() {
      return consumer ??= await openConsumer(url);
    },
    async [Symbol.asyncDispose]() {
      await producer?.[Symbol.asyncDispose]();
      await consumer?.[Symbol.asyncDispose]();
    },
  };
}
