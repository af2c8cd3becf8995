/** Makes files of `flow` again from the topic. */

import { type AddFile } from "../lake/delta_log.ts";
import { OFFSETS_TAG, parseOffsets } from "../lake/offsets.ts";
import { sqlList } from "../sql_text.ts";
import { ingestTimeOf, type Restored, type RestoreTask, writeRestored } from "./restored.ts";
import { writeTopicRows } from "./topic_rows.ts";

const PLACE = "src_topic, src_partition, src_offset, src_index";

/** The topic's rows of the file's hour and offsets; those that other files of the hour hold are not taken twice. */
export async function restoreFlow(task: RestoreTask): Promise<Restored> {
  const { consumer, folder, file, readable, origins } = task;
  if (consumer === null) return { add: null, why: "whose topic was not given" };
  const hour = { date: file.partitionValues["date"] ?? "", hour: file.partitionValues["hour"] ?? "" };
  const paths: string[] = [];
  for (const origin of (origins.of(file.path) ?? [{ file }]).map(({ file }) => file)) {
    const spans = spansOf(origin);
    if (spans === null) return { add: null, why: "which does not tell which messages it held" };
    paths.push(...await writeTopicRows(consumer, folder, { spans, hour, ingestTime: ingestTimeOf(origin) }));
  }
  if (paths.length === 0) return { add: null, why: "none of which the topic has" };
  const intact = [...readable].filter(([, { partitionValues: of }]) => of["date"] === hour.date && of["hour"] === hour.hour);
  const held = intact.length === 0 ? "" : `anti join read_parquet(${sqlList(intact.map(([path]) => path))}, union_by_name = true) held
    using (${PLACE})`;
  const restored = await writeRestored(
    task,
    `select restored.* from read_parquet(${sqlList(paths)}, hive_partitioning = false) restored ${held}`,
  );
  for (const path of paths) await Deno.remove(path);
  return restored;
}

/** Null where the file does not tell. */
export function spansOf({ tags }: AddFile) {
  const text = tags?.[OFFSETS_TAG];
  return text === undefined ? null : parseOffsets(text);
}
