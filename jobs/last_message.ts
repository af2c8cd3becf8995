/**
 * Whether a topic is still the one that was read: the message before the next one to read must be the same as when the lake took it
 * in. Of a topic that was cut, or restored from an older copy, and has grown again, offsets alone do not tell.
 */

import { MissingMessagesError, type OffsetRange, type TopicConsumer } from "../lib/topic/topic.ts";
import { LakeError } from "./lake/delta_log.ts";

/** An offset of a partition before which the lake has other messages than the topic, as somebody has accepted. */
export interface OtherMessages {
  readonly partition: number;
  readonly offset: bigint;
}

/** Name of the operation's parameter that tells of accepted ones: by "TOPIC:PARTITION", the offset. */
export const OTHER_MESSAGES_PARAMETER = "otherMessages";

/** Digits of SHA-256 in hexadecimal that a `txn` action's version has room for, which JSON holds as a double. */
const NUMBER_DIGITS = 13;

/** @throws {SyntaxError} If the text is not "PARTITION:OFFSET". */
export function parseOtherMessages(text: string): OtherMessages {
  const match = /^(\d{1,4}):(\d{1,18})$/.exec(text);
  if (match === null) throw new SyntaxError(`Cannot read "${text}": needed PARTITION:OFFSET, as the error names it`);
  return { partition: Number(match[1]), offset: BigInt(match[2]!) };
}

/** Application id under which a job notes the last message that it took of a partition. */
export function lastMessageId(job: string, topicName: string, partition: number): string {
  return `skyfall-${job}-last:${topicName}:${partition}`;
}

/** What is noted of a message: the first 52 bits of its SHA-256. */
export async function messageNumber(value: Uint8Array): Promise<bigint> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(value)));
  return BigInt(`0x${digest.toHex().slice(0, NUMBER_DIGITS)}`);
}

/**
 * Whether the topic has another message before `offset` than the one noted; false where it no longer has any, and nobody can tell.
 *
 * @param range Offsets that the partition has.
 * @throws {TopicError} If the topic cannot be read.
 */
export async function isOtherTopic(
  consumer: TopicConsumer,
  partition: number,
  { begin, end }: OffsetRange,
  offset: bigint,
  noted: bigint,
): Promise<boolean> {
  const before = offset - 1n;
  if (before < begin || offset > end) return false;
  try {
    const [message] = await consumer.read(partition, before, 1);
    return message !== undefined && message.offset === before && await messageNumber(message.value) !== noted;
  } catch (error) {
    if (error instanceof MissingMessagesError) return false;
    throw error;
  }
}

export function acceptOtherCommand(job: string, partition: number, offset: bigint): string {
  return `jobs run ${job} --accept-other-messages ${partition}:${offset}`;
}

/**
 * @param noted Of the message before `offset`; undefined where nobody noted it.
 * @throws {LakeError} If the topic is another, and that is not accepted.
 */
export async function assertSameTopic(
  job: string,
  consumer: TopicConsumer,
  { partition, offset }: OtherMessages,
  range: OffsetRange,
  noted: bigint | undefined,
  accepted: readonly OtherMessages[],
): Promise<void> {
  if (noted === undefined || accepted.some((other) => other.partition === partition && other.offset === offset)) return;
  if (!await isOtherTopic(consumer, partition, range, offset, noted)) return;
  throw new LakeError(
    `Cannot go on with topic "${consumer.topicName}" partition ${partition}: its message at offset ${
      offset - 1n
    } is another than the one that the lake took in: the topic was cut or restored from an older copy, and has grown again; restore it whole, or, where what it has before offset ${offset} may be left out, go on there with "${
      acceptOtherCommand(job, partition, offset)
    }"`,
  );
}
