/** Decides which files of a table become one. */

import type { AddFile, Snapshot } from "../lake/delta_log.ts";
import type { TableDefinition } from "../lake/table.ts";

/** Tag of a file whose rows are in this order, with the columns' names. */
export const SORTED_TAG = "skyfall.sorted";

/** A file of at least so many bytes is never rewritten; none of more than the greatest is made of several. */
const FULL_BYTES = 256 * 2 ** 20;
const GREATEST_BYTES = 512 * 2 ** 20;

/**
 * A sorted file is taken in again only when what is merged with it is a quarter of its size: so a row is rewritten a few times
 * in its life, however many late rows come one by one.
 */
const GROWTH = 4;

/** Files of one partition that become one. */
export interface Merge {
  readonly partition: Readonly<Record<string, string>>;
  readonly inputs: readonly AddFile[];
}

export function sortedTag({ sortColumns }: TableDefinition): string {
  return sortColumns.join(",");
}

/** In the order of their partitions; empty where every file is as it should be. */
export function planMerges(definition: TableDefinition, { files }: Pick<Snapshot, "files">): Merge[] {
  const byPartition = new Map<string, AddFile[]>();
  for (const file of files.values()) {
    const key = definition.partitionColumns.map((name) => (file.partitionValues[name] ?? "").padStart(2, "0")).join("/");
    const group = byPartition.get(key);
    if (group === undefined) byPartition.set(key, [file]);
    else group.push(file);
  }
  return [...byPartition].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, group]) => mergesOf(definition, group));
}

function mergesOf(definition: TableDefinition, files: readonly AddFile[]): Merge[] {
  const isSorted = ({ tags }: AddFile) => tags?.[SORTED_TAG] === sortedTag(definition);
  const bySize = (a: AddFile, b: AddFile) => a.size - b.size;
  const chosen = files.filter((file) => !isSorted(file)).sort(bySize);
  if (chosen.length === 0) return [];
  let bytes = chosen.reduce((sum, { size }) => sum + size, 0);
  for (const file of files.filter((file) => isSorted(file) && file.size < FULL_BYTES).sort(bySize)) {
    if (file.size > GROWTH * bytes) break;
    chosen.push(file);
    bytes += file.size;
  }
  const partition = Object.fromEntries(definition.partitionColumns.map((name) => [name, files[0]!.partitionValues[name] ?? ""]));
  return batches(chosen.sort(bySize)).filter((inputs) => inputs.length > 1 || !isSorted(inputs[0]!)).map((inputs) => ({
    partition,
    inputs,
  }));
}

/** Splits into runs of at most the greatest size each; a file that is greater alone is a run of its own. */
function batches(files: readonly AddFile[]): AddFile[][] {
  const runs: AddFile[][] = [];
  let bytes = Infinity;
  for (const file of files) {
    if (bytes + file.size > GREATEST_BYTES) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)!.push(file);
    bytes += file.size;
  }
  return runs;
}
