/** Makes files of `dead_letter` and `agent_loss` again: what the topic's messages of their offsets hold besides rows of `flow`. */

import { DEAD_LETTER } from "../lake/tables.ts";
import { letterRow, lossRows } from "../side_rows.ts";
import { selectStagedRows, stageSideRows } from "../side_table.ts";
import { sqlList } from "../sql_text.ts";
import { spansOf } from "./flow.ts";
import { ingestTimeOf, type Restored, type RestoreTask, writeRestored } from "./restored.ts";
import { readBesides } from "./topic_rows.ts";

export async function restoreSide(task: RestoreTask): Promise<Restored> {
  const { database, consumer, definition, file, readable, origins } = task;
  if (consumer === null) return { add: null, why: "whose topic was not given" };
  await database.run("drop table if exists restored_side");
  for (const origin of (origins.of(file.path) ?? [{ file }]).map(({ file }) => file)) {
    const spans = spansOf(origin), source = { topicName: consumer.topicName, ingestTime: ingestTimeOf(origin) };
    if (spans === null) return { add: null, why: "which does not tell which messages it held" };
    const { deadLetters, losses } = await readBesides(consumer, spans);
    const rows = definition === DEAD_LETTER
      ? deadLetters.map((letter) => letterRow(letter, source))
      : losses.flatMap((told) => lossRows(told, source));
    await stageSideRows(database, definition, rows.filter(({ date }) => date === file.partitionValues["date"]));
    await database.run("create table if not exists restored_side as from staged_side limit 0");
    await database.run(`insert into restored_side ${selectStagedRows(definition)}`);
  }
  const ofDay = [...readable].filter(([, { partitionValues }]) => partitionValues["date"] === file.partitionValues["date"]);
  const held = ofDay.length === 0 ? "" : `anti join read_parquet(${sqlList(ofDay.map(([path]) => path))}, union_by_name = true) held
    using (src_topic, src_partition, src_offset)`;
  return await writeRestored(task, `select side.* from restored_side side ${held}`);
}
