/** Makes files of `dead_letter` and `agent_loss` again: what else than rows of `flow` the topic's messages of their offsets hold. */

import { readFlowMessage } from "../flow_message.ts";
import { AGENT_LOSS } from "../lake/tables.ts";
import { letterRow, lossRows, type Source } from "../side_rows.ts";
import { type SideRow, STAGED_SIDE, stageSideRows } from "../side_table.ts";
import { sqlList } from "../sql_text.ts";
import type { TopicMessage } from "../../lib/topic/topic.ts";
import { spansOf } from "./flow.ts";
import { ingestTimeOf, type Restored, type RestoreTask, writeRestored } from "./restored.ts";
import { messagesOf } from "./topic_rows.ts";

export async function restoreSideRows(task: RestoreTask): Promise<Restored> {
  const { database, consumer, file, readable, origins, definition } = task;
  if (consumer === null) return { add: null, why: "whose topic was not given" };
  const rowsOf = definition === AGENT_LOSS ? toldRows : asideRows, rows: SideRow[] = [];
  for (const origin of (origins.of(file.path) ?? [{ file }]).map(({ file }) => file)) {
    const spans = spansOf(origin);
    if (spans === null) return { add: null, why: "which does not tell which messages it held" };
    const source = { topicName: consumer.topicName, ingestTime: ingestTimeOf(origin) };
    for (const span of spans) {
      for await (const messages of messagesOf(consumer, span)) rows.push(...messages.flatMap((m) => rowsOf(m, source)));
    }
  }
  await stageSideRows(database, definition, rows.filter(({ date }) => date === file.partitionValues["date"]));
  const held = readable.size === 0 ? "" : `anti join read_parquet(${sqlList([...readable.keys()])}, union_by_name = true) held
    using (src_topic, src_partition, src_offset)`;
  return await writeRestored(task, `select side.* from ${STAGED_SIDE} side ${held}`);
}

function asideRows(message: TopicMessage, source: Source): SideRow[] {
  const batch = readFlowMessage(message.value);
  return typeof batch === "string" ? [letterRow({ message, reason: batch }, source)] : [];
}

function toldRows({ partition, offset, value }: TopicMessage, source: Source): SideRow[] {
  const batch = readFlowMessage(value);
  return typeof batch === "string" ? [] : lossRows({ partition, offset, losses: batch.agentLosses ?? [] }, source);
}
