/** Finds what no measurement can have given: such a message is set aside as a whole, as nobody can tell which of its values is right. */

import type { FlowBatch } from "../lib/flow_batch.ts";
import { MESSAGE_COLUMNS } from "../lib/records.ts";

const PORT_MAX = 65_535;
/** Folders of the lake have years of four digits. */
const YEAR_2200_US = Date.UTC(2200, 0) * 1_000;
const WORD = 2 ** 32;
/** A row is of a minute at most: more than a pebibyte of anything is none that was counted, and sums of such would overflow. */
const COUNT_MAX = 2 ** 50 - 1;
const COUNT_UNITS: ReadonlySet<string> = new Set([
  "bytes",
  "segments",
  "times",
  "us",
  "records",
  "connections",
  "samples",
  "packets",
  "ports",
]);
/** Columns of amounts, which are never negative. */
const COUNT_COLUMNS = MESSAGE_COLUMNS.filter(({ unit }) => COUNT_UNITS.has(unit));

/** What is impossible in these rows, or null. */
export function impossibleValue({ rowCount, columns }: FlowBatch): string | null {
  for (const { name } of COUNT_COLUMNS) {
    const column = columns[name];
    if (!("values" in column) || "offsets" in column || !hasImpossible(column.values)) continue;
    const row = column.values.findIndex((value, i) => (value < 0 || value > COUNT_MAX) && column.valid?.[i] !== 0);
    if (row >= 0) return `column "${name}" row ${row} has ${column.values[row]}, needed 0 to ${COUNT_MAX}`;
  }
  const { window_start: { values: starts }, window_end: { values: ends }, server_port, client_ports } = columns;
  const startOf = toNumbers(starts), endOf = toNumbers(ends);
  for (let i = 0; i < rowCount; i++) {
    const start = startOf(i);
    if (start < 0 || start >= YEAR_2200_US) return `column "window_start" row ${i} has ${starts[i]} us, needed 1970 to 2199`;
    if (endOf(i) < start) return `column "window_end" row ${i} has ${ends[i]} us, needed at least window_start, ${starts[i]}`;
  }
  return impossiblePort("server_port", server_port.values) ?? impossiblePort("client_ports", client_ports.values);
}

/** Values as numbers, which those are exactly that are possible; a bigint for each would cost far more. */
function toNumbers(values: BigInt64Array): (row: number) => number {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  return (row) => words[2 * row + 1]! * WORD + (words[2 * row]! >>> 0);
}

/** Looks at upper halves alone, which costs a fraction of making a number of each. What a null hides may be anything. */
function hasImpossible(values: Int32Array | BigInt64Array): boolean {
  const words = new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4);
  const step = values.BYTES_PER_ELEMENT / 4;
  let bits = 0;
  for (let i = step - 1; i < words.length; i += step) bits |= words[i]!;
  return bits < 0 || (step === 2 && bits > Math.floor(COUNT_MAX / WORD));
}

function impossiblePort(name: string, ports: Int32Array): string | null {
  let bits = 0;
  for (let i = 0; i < ports.length; i++) bits |= ports[i]!;
  if (bits >= 0 && bits <= PORT_MAX) return null;
  const i = ports.findIndex((port) => port < 0 || port > PORT_MAX);
  return `column "${name}" value ${i} has ${ports[i]}, needed 0 to ${PORT_MAX}`;
}
