/** The losses that the topic's messages tell, compared with the table `agent_loss`. */

import type { Database } from "../duckdb.ts";
import { sqlText } from "../sql_text.ts";
import { messagePlace, named } from "./content.ts";
import type { Problem } from "./finding.ts";

const NAMED_MAX = 20;
const DAY_US = 86_400_000_000;

/**
 * Messages of the table `reread` that tell other losses than the lake has of them.
 *
 * @param droppedDays Since 1970, whose losses are no longer kept.
 */
export async function lossDifferences(
  database: Database,
  topicName: string,
  droppedDays: ReadonlySet<number>,
  repair: string,
): Promise<Problem[]> {
  const topic = sqlText(topicName);
  const days = droppedDays.size === 0 ? "" : `and epoch_us(loss_end) // ${DAY_US} not in (${[...droppedDays].join(", ")})`;
  const differs = ["told", "datagrams", "records", "events"].map((sum) => `coalesce(t.${sum}, 0) <> coalesce(l.${sum}, 0)`);
  const found = await database.rows(`
    with lake as (
      select a.src_partition, a.src_offset, count(*) as told, sum(datagrams_lost) as datagrams, sum(flow_records_missing) as records,
        sum(agent_dropped_events) as events
      from agent_loss a join kept k on a.src_partition = k.src_partition and a.src_offset >= k.first and a.src_offset < k.after
      where a.src_topic = ${topic} ${days} group by all
    )
    select ${topic} as src_topic, src_partition, src_offset, coalesce(t.told, 0) as topic_told, coalesce(l.told, 0) as lake_told,
      count(*) over () as found
    from (from reread where told > 0) t full join lake l using (src_partition, src_offset)
    where (${differs.join(" or ")}) and not exists (select 1 from taken g where g.gap and l.told is null
      and g.topic = ${topic} and g.partition = src_partition and src_offset >= g.first and src_offset < g.after)
    order by src_partition, src_offset limit ${NAMED_MAX}`);
  return named(found, (row) => ({
    where: messagePlace(row),
    what: `tells ${row["topic_told"]} losses, and the lake has ${row["lake_told"]}${
      Number(row["topic_told"]) === Number(row["lake_told"]) ? " with other amounts" : ""
    }`,
    repair,
  }));
}
