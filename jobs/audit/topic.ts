/** The topic, read again as long as it keeps what the lake took in, and compared message by message. */

import type { Database } from "../duckdb.ts";
import { MissingMessagesError, type TopicConsumer } from "../../lib/topic/topic.ts";
import { acceptOtherCommand, isOtherTopic } from "../last_message.ts";
import { sqlText } from "../sql_text.ts";
import { acceptGapCommand } from "../topic_reader.ts";
import { messagePlace, named, type Progress } from "./content.ts";
import { type Check, placeOf, type Problem } from "./finding.ts";
import { lossDifferences } from "./topic_losses.ts";
import { type Dropped, messageContent } from "./message_checksum.ts";

const READ_BYTES_MAX = 16 * 1024 * 1024;
const NAMED_MAX = 20;

/** What the lake knows of the topic itself, by partition. */
export interface KnownTopic {
  /** What was noted of the last message taken in. */
  readonly numbers: ReadonlyMap<number, bigint>;
  /** Offsets before which the topic has other messages, as somebody has accepted. */
  readonly othersBefore: ReadonlyMap<number, bigint>;
}

/**
 * Compares each message that the topic still has, up to where the lake has it, with its rows in the table `message` and its row
 * in `dead_letter`.
 *
 * @param next By partition, the offset before which the lake has everything.
 */
export async function checkTopic(
  database: Database,
  consumer: TopicConsumer,
  next: ReadonlyMap<number, bigint>,
  dropped: Dropped,
  repair: string,
  progress: Progress,
  known: KnownTopic,
): Promise<Check> {
  await database.run(`create or replace table reread (src_partition integer, src_offset bigint, rows integer, checksum bigint,
    told integer, datagrams bigint, records bigint, events bigint)`);
  await database.run("create or replace table kept (src_partition integer, first bigint, after bigint)");
  const problems: Problem[] = [];
  let messages = 0;
  for (const [partition, after] of next) {
    if (partition >= consumer.partitionCount) continue;
    const { begin, end } = await consumer.offsets(partition);
    if (after > end) {
      problems.push({
        where: placeOf(consumer.topicName, partition, end, after),
        what: `the lake took in what the topic does not have`,
        repair: "restore the topic from a copy, or begin a new one",
      });
    }
    if (begin > after) {
      problems.push({
        where: placeOf(consumer.topicName, partition, after, begin),
        what: "the topic has deleted them before they were read",
        repair: `restore them from a copy, or give them up: ${acceptGapCommand("etl", partition, after, begin)}`,
      });
    }
    const noted = known.numbers.get(partition);
    if (noted !== undefined && await isOtherTopic(consumer, partition, { begin, end }, after, noted)) {
      problems.push({
        where: placeOf(consumer.topicName, partition, after - 1n, after),
        what: "is another message than the lake took in: the topic was cut or restored from an older copy, and has grown again",
        repair: `restore it whole, or ${acceptOtherCommand("etl", partition, after)}`,
      });
    }
    const others = known.othersBefore.get(partition) ?? begin, from = others > begin ? others : begin, to = after < end ? after : end;
    if (from >= to) continue;
    messages += await reread(database, consumer, { partition, begin: from, to, dropped }, progress);
    await database.run(`insert into kept values (${partition}, ${from}, ${to})`);
  }
  problems.push(...await differences(database, consumer.topicName, repair));
  problems.push(...await lossDifferences(database, consumer.topicName, dropped.days, repair));
  return { name: "the topic read again", examined: `${messages} messages of "${consumer.topicName}", ${next.size} partitions`, problems };
}

interface Reread {
  readonly partition: number;
  readonly begin: bigint;
  /** Exclusive. */
  readonly to: bigint;
  readonly dropped: Dropped;
}

async function reread(
  database: Database,
  consumer: TopicConsumer,
  { partition, begin, to, dropped }: Reread,
  progress: Progress,
): Promise<number> {
  const appender = await database.appender("reread", ["INTEGER", "BIGINT", "INTEGER", "BIGINT", "INTEGER", "BIGINT", "BIGINT", "BIGINT"]);
  let messages = 0;
  for (let offset = begin; offset < to;) {
    const found = await consumer.read(partition, offset, READ_BYTES_MAX).catch((error) => {
      if (error instanceof MissingMessagesError) return error;
      throw error;
    });
    if (found instanceof MissingMessagesError) { // the comparison tells what the lake has of them
      offset = found.to;
      continue;
    }
    const read = found.filter((message) => message.offset < to);
    if (read.length === 0) break; // what another program's transaction left is no message
    const all = read.map((message) => ({ offset: message.offset, content: messageContent(message, message.value, dropped) }));
    const kept = all.filter(({ content }) => content?.rows !== 0 || content.losses[0] > 0);
    appender.append(kept.length, [
      { values: new Int32Array(kept.length).fill(partition) },
      { values: BigInt64Array.from(kept, ({ offset }) => offset) },
      { values: Int32Array.from(kept, ({ content }) => content?.rows ?? 0) },
      { values: BigInt64Array.from(kept, ({ content }) => BigInt.asIntN(64, content?.checksum ?? 0n)) },
      { values: Int32Array.from(kept, ({ content }) => content?.losses[0] ?? 0) },
      ...[1, 2, 3].map((i) => ({ values: BigInt64Array.from(kept, ({ content }) => BigInt(content?.losses[i] ?? 0)) })),
    ]);
    messages += read.length;
    offset = read.at(-1)!.offset + 1n;
    progress(Number(offset - begin), Number(to - begin));
  }
  appender.close();
  return messages;
}

async function differences(database: Database, topicName: string, repair: string): Promise<Problem[]> {
  const topic = sqlText(topicName);
  const found = await database.rows(`
    with lake as (
      select m.src_partition, m.src_offset, m.rows, m.checksum from message m join kept k
        on m.src_partition = k.src_partition and m.src_offset >= k.first and m.src_offset < k.after
      where m.src_topic = ${topic}
    ), aside as (
      select src_partition, src_offset, count(*) as letters from dead_letter where src_topic = ${topic} group by all
    ), given_up as (select partition, first, after from taken where gap and topic = ${topic})
    select ${topic} as src_topic, coalesce(t.src_partition, l.src_partition) as src_partition, coalesce(t.src_offset, l.src_offset) as src_offset,
      coalesce(t.rows, -1) as topic_rows, coalesce(l.rows, 0) as lake_rows, coalesce(a.letters, 0) as letters, count(*) over () as found
    from (from reread where rows <> 0 or told = 0) t full join lake l on t.src_partition = l.src_partition and t.src_offset = l.src_offset
      left join aside a on a.src_partition = coalesce(t.src_partition, l.src_partition) and a.src_offset = coalesce(t.src_offset, l.src_offset)
    where not coalesce(
        l.rows = t.rows and a.letters is null and (case when t.checksum < 0 then t.checksum::hugeint + (1::hugeint << 64) else t.checksum end) = l.checksum
        or l.rows is null and a.letters = 1, false)
      and not exists (select 1 from given_up g where l.rows is null and a.letters is null
        and g.partition = t.src_partition and t.src_offset >= g.first and t.src_offset < g.after)
    order by src_partition, src_offset limit ${NAMED_MAX}`);
  return named(found, (row) => ({
    where: messagePlace(row),
    what: difference(Number(row["topic_rows"]), Number(row["lake_rows"]), Number(row["letters"])),
    repair,
  }));
}

function difference(topicRows: number, lakeRows: number, letters: number): string {
  if (topicRows < 0) return `has ${lakeRows} rows in the lake, and is not in the topic`;
  if (letters > 0) return `has ${lakeRows} rows in the lake, and ${letters} times it was set aside`;
  if (topicRows === 0) return `is no batch of rows, and has ${lakeRows} rows in the lake and was not set aside`;
  if (topicRows === lakeRows) return `has ${topicRows} rows as in the lake, but with other values`;
  return `has ${topicRows} rows, and ${lakeRows} in the lake`;
}
