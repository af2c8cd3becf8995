/** What the topic still has of what the lake took in: rows of one hour as files of their own, and what is beside them. */

import { MissingMessagesError, type TopicConsumer, type TopicMessage } from "../../lib/topic/topic.ts";
import type { DeadLetter, ToldLosses } from "../side_rows.ts";
import { Stage, StageTables } from "../stage.ts";
import type { OffsetSpan } from "../lake/offsets.ts";

const READ_BYTES_MAX = 16 * 1024 * 1024;
/** Rows that are kept in memory until they are written. */
const STAGE_ROWS_MAX = 1_000_000;

/** Hour of the lake's layout, as the texts of its folder. */
export interface Hour {
  readonly date: string;
  readonly hour: string;
}

export interface ReadAgain {
  readonly spans: readonly OffsetSpan[];
  readonly hour: Hour;
  /** That the rows had; RFC 3339. */
  readonly ingestTime: string;
}

/** Writes the hour's rows of these offsets to files in `folder`; returns their paths. */
export async function writeTopicRows(consumer: TopicConsumer, folder: string, { spans, hour, ingestTime }: ReadAgain): Promise<string[]> {
  const tables = new StageTables(), paths: string[] = [];
  let stage = new Stage(tables);
  const write = async () => {
    for (const file of stage.files({ topicName: consumer.topicName, ingestTime })) {
      if (file.partition.date !== hour.date || String(file.partition.hour) !== hour.hour) continue;
      const path = `${folder}/${crypto.randomUUID()}.parquet`;
      using out = await Deno.open(path, { write: true, createNew: true });
      for (const part of file.parts) for (let at = 0; at < part.length;) at += await out.write(part.subarray(at));
      paths.push(path);
    }
    stage = new Stage(tables);
  };
  for (const span of spans) {
    for await (const messages of messagesOf(consumer, span)) {
      for (const message of messages) stage.add(message);
      if (stage.rowCount >= STAGE_ROWS_MAX) await write();
    }
  }
  if (stage.rowCount > 0) await write();
  return paths;
}

/** What the messages of these offsets hold besides rows of `flow`. */
export async function readBesides(
  consumer: TopicConsumer,
  spans: readonly OffsetSpan[],
): Promise<Pick<Stage, "deadLetters" | "losses">> {
  const besides = { deadLetters: new Array<DeadLetter>(), losses: new Array<ToldLosses>() };
  for (const span of spans) {
    for await (const messages of messagesOf(consumer, span)) {
      const stage = new Stage(new StageTables());
      for (const message of messages) stage.add(message);
      besides.deadLetters.push(...stage.deadLetters);
      besides.losses.push(...stage.losses);
    }
  }
  return besides;
}

/** Whether the topic still has every message of these offsets. */
export async function hasAll(consumer: TopicConsumer, spans: readonly OffsetSpan[]): Promise<boolean> {
  for (const { topicName, partition, from, to } of spans) {
    if (topicName !== consumer.topicName || partition >= consumer.partitionCount) return false;
    const { begin, end } = await consumer.offsets(partition);
    if (from < begin || to > end) return false;
  }
  return true;
}

/** What the topic still has of a span; nothing of one of another topic. */
async function* messagesOf(consumer: TopicConsumer, { topicName, partition, from, to }: OffsetSpan): AsyncGenerator<TopicMessage[]> {
  if (topicName !== consumer.topicName || partition >= consumer.partitionCount) return;
  const { begin, end } = await consumer.offsets(partition);
  const last = to < end ? to : end;
  for (let offset = from > begin ? from : begin; offset < last;) {
    const found = await consumer.read(partition, offset, READ_BYTES_MAX).catch((error) => {
      if (error instanceof MissingMessagesError) return error;
      throw error;
    });
    if (found instanceof MissingMessagesError) {
      offset = found.to;
      continue;
    }
    if (found.length === 0) return;
    yield found.filter((message) => message.offset < last);
    offset = found.at(-1)!.offset + 1n;
  }
}
