/** What the messages of a cut hold besides rows of `flow`, as rows of the tables beside it. */

import type { AgentLoss } from "../lib/agent_loss.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import type { Place, SideRow } from "./side_table.ts";
import { sqlText } from "./sql_text.ts";

/** What a message did not hold; it is set aside. */
export interface DeadLetter {
  readonly message: TopicMessage;
  readonly reason: string;
}

/** What a message tells of losses. */
export interface ToldLosses extends Place {
  readonly losses: readonly AgentLoss[];
}

/** Where the rows come from. */
export interface Source {
  readonly topicName: string;
  readonly ingestTime: string;
}

/** A row of `dead_letter`, of the day on which it was read. */
export function letterRow({ message: { partition, offset, value }, reason }: DeadLetter, { topicName, ingestTime }: Source): SideRow {
  const values = [
    sqlText(topicName),
    String(partition),
    String(offset),
    sqlText(reason.replaceAll("\0", "\ufffd")),
    `unhex('${value.toHex()}')`,
    `'${ingestTime}'`,
  ];
  return { date: ingestTime.slice(0, 10), values };
}

/** Rows of `agent_loss`, of the days on which the losses were found. */
export function lossRows({ partition, offset, losses }: ToldLosses, { topicName, ingestTime }: Source): SideRow[] {
  return losses.map((loss, index) => {
    const values = [
      `make_timestamptz(${loss.loss_start})`,
      `make_timestamptz(${loss.loss_end})`,
      loss.agent_address === null ? "null" : sqlText(loss.agent_address.replaceAll("\0", "\ufffd")),
      String(loss.sub_agent_id),
      String(loss.agent_count),
      String(loss.datagrams_lost),
      String(loss.flow_records_missing),
      String(loss.agent_dropped_events),
      sqlText(topicName),
      String(partition),
      String(offset),
      String(index),
      `'${ingestTime}'`,
    ];
    return { date: new Date(loss.loss_end / 1_000).toISOString().slice(0, 10), values };
  });
}
