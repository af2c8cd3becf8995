/** Sets of a topic's partitions as people write them: "0-3,7". */

const Part = /^(\d{1,4})(?:-(\d{1,4}))?$/;

/** @throws {SyntaxError} If the text is none, or a range goes down. */
export function parsePartitionSet(text: string): readonly number[] {
  const partitions = new Set<number>();
  for (const part of text.split(",")) {
    const match = Part.exec(part), first = Number(match?.[1]), last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first) throw new SyntaxError(`Cannot read partitions "${text}": needed numbers and ranges, as in "0-3,7"`);
    for (let partition = first; partition <= last; partition++) partitions.add(partition);
  }
  return [...partitions].sort((a, b) => a - b);
}

/** @param partitions Ascending, each once. */
export function formatPartitionSet(partitions: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const partition of partitions) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === partition - 1) last[1] = partition;
    else ranges.push([partition, partition]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}
