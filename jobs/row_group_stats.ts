/** Statistics of a data file as the Delta log has them, added up from its row groups (PROTOCOL.md, "Per-file Statistics"). */

import type { FileStats } from "./lake/stats.ts";
import type { EncodedColumn } from "./row_group.ts";

/** Numbers of a column so far; no bounds where they are not exact as doubles. */
interface ColumnNumbers {
  nulls: number;
  min: number;
  max: number;
  isExact: boolean;
}

export class RowGroupStats {
  readonly #columns = new Map<string, { readonly isTime: boolean; readonly numbers: ColumnNumbers }>();
  #rows = 0;

  add(rows: number, columns: readonly EncodedColumn[]): void {
    this.#rows += rows;
    for (const { column: { name, type }, chunk, range } of columns) {
      if (type !== "INTEGER" && type !== "BIGINT" && type !== "TIMESTAMPTZ") continue;
      let entry = this.#columns.get(name);
      if (entry === undefined) {
        entry = { isTime: type === "TIMESTAMPTZ", numbers: { nulls: 0, min: Infinity, max: -Infinity, isExact: true } };
        this.#columns.set(name, entry);
      }
      const { numbers } = entry;
      numbers.nulls += chunk.nullCount;
      if (range !== null) {
        numbers.min = Math.min(numbers.min, range.min);
        numbers.max = Math.max(numbers.max, range.max);
      } else if (chunk.valueCount > chunk.nullCount) numbers.isExact = false;
    }
  }

  finish(): FileStats {
    const minValues: Record<string, string | number> = {}, maxValues: Record<string, string | number> = {};
    const nullCount: Record<string, number> = {};
    for (const [name, { isTime, numbers: { nulls, min, max, isExact } }] of this.#columns) {
      nullCount[name] = nulls;
      if (!isExact || min > max) continue;
      minValues[name] = isTime ? isoTime(min, 0) : min;
      maxValues[name] = isTime ? isoTime(max, 1) : max;
    }
    return { numRecords: this.#rows, minValues, maxValues, nullCount };
  }
}

/** Timestamps have milliseconds there: a minimum is rounded down, a maximum up. */
function isoTime(us: number, upMs: 0 | 1): string {
  return new Date(Math.floor(us / 1_000) + upMs).toISOString();
}
