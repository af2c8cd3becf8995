/** Makes files of `dead_letter` again: the topic's messages of their offsets that give no rows. */

import { STAGED_LETTERS, stageLetters } from "../dead_letters.ts";
import { sqlList } from "../sql_text.ts";
import { spansOf } from "./flow.ts";
import { ingestTimeOf, type Restored, type RestoreTask, writeRestored } from "./restored.ts";
import { readDeadLetters } from "./topic_rows.ts";

export async function restoreDeadLetters(task: RestoreTask): Promise<Restored> {
  const { database, consumer, file, readable, origins } = task;
  if (consumer === null) return { add: null, why: "whose topic was not given" };
  await database.run("drop table if exists restored_letter");
  for (const origin of (origins.of(file.path) ?? [{ file }]).map(({ file }) => file)) {
    const spans = spansOf(origin);
    if (spans === null) return { add: null, why: "which does not tell which messages it held" };
    await stageLetters(database, consumer.topicName, await readDeadLetters(consumer, spans), ingestTimeOf(origin));
    await database.run("create table if not exists restored_letter as from staged_letter limit 0");
    await database.run(`insert into restored_letter ${STAGED_LETTERS}`);
  }
  const held = readable.size === 0 ? "" : `anti join read_parquet(${sqlList([...readable.keys()])}, union_by_name = true) held
    using (src_topic, src_partition, src_offset)`;
  return await writeRestored(task, `select letter.* from restored_letter letter ${held}`);
}
