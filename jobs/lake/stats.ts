/** Statistics of a data file, as DuckDB reports them and as the Delta log has them (PROTOCOL.md, "Per-file Statistics"). */

import { z } from "zod";
import type { Column, ColumnType } from "../../lib/records.ts";
import type { Row } from "../duckdb.ts";

/** `stats` of an `add` action. */
export interface FileStats {
  readonly numRecords: number;
  readonly minValues: Readonly<Record<string, string | number>>;
  readonly maxValues: Readonly<Record<string, string | number>>;
  readonly nullCount: Readonly<Record<string, number>>;
}

const Entries = z.array(z.object({ key: z.string(), value: z.array(z.object({ key: z.string(), value: z.string() })) }));

/** Types whose bounds DuckDB never cuts short. */
const BOUNDED: ReadonlySet<ColumnType> = new Set(["INTEGER", "BIGINT", "TIMESTAMPTZ"]);

/**
 * @param columns Of the table.
 * @param written A row of `COPY ... (RETURN_STATS)`.
 */
export function statsOf(columns: readonly Column[], written: Row): FileStats {
  const statistics = new Map(
    Entries.parse(written["column_statistics"]).map(({ key, value }) => [key, new Map(value.map((v) => [v.key, v.value]))]),
  );
  const minValues: Record<string, string | number> = {},
    maxValues: Record<string, string | number> = {},
    nullCount: Record<string, number> = {};
  for (const { name, type } of columns) {
    const column = statistics.get(`"${name}"`);
    if (column === undefined || !BOUNDED.has(type)) continue;
    const nulls = column.get("null_count"), min = column.get("min"), max = column.get("max");
    if (nulls !== undefined) nullCount[name] = Number(nulls);
    if (min !== undefined) minValues[name] = bound(min, type, 0);
    if (max !== undefined) maxValues[name] = bound(max, type, 1);
  }
  return { numRecords: Number(written["count"]), minValues, maxValues, nullCount };
}

/** Timestamps have milliseconds there: a minimum is rounded down, a maximum up. */
function bound(text: string, type: ColumnType, upMs: 0 | 1): string | number {
  if (type !== "TIMESTAMPTZ") return Number(text);
  const ms = Date.parse(text.replace(" ", "T").replace(/(\.\d{3})\d*/, "$1").replace(/\+00$/, "Z"));
  return new Date(ms + upMs).toISOString();
}
