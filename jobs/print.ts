/** Prints answers: tables for people, CSV (RFC 4180) and JSON for programs. */

import Table from "cli-table3";
import type { Answer } from "./portable_sql.ts";

export const FORMATS = ["table", "csv", "json"] as const;
export type Format = typeof FORMATS[number];

// deno-lint-ignore no-control-regex -- they are what it is about
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]+/g;

/** Formats an answer. A table has at most `limit` rows and says how many it leaves out; CSV and JSON have all. */
export function formatAnswer(answer: Answer, format: Format, limit: number): string {
  switch (format) {
    case "table":
      return formatTable(answer, limit);
    case "csv":
      return [answer.columns.map(({ name }) => name), ...answer.rows.map((row) => answer.columns.map(({ name }) => row[name]))].map(csvLine)
        .join("\r\n");
    case "json":
      return formatJson(answer);
  }
}

function formatTable({ columns, rows }: Answer, limit: number): string {
  const shown = rows.slice(0, limit);
  const table = new Table({
    head: columns.map(({ name }) => heading(name)),
    colAligns: columns.map(({ isNumber }) => isNumber ? "right" : "left"),
    style: { head: [], border: [], compact: true },
  });
  for (const row of shown) table.push(columns.map(({ name, isNumber }) => cell(name, row[name], isNumber)));
  const rest = rows.length - shown.length;
  return rest === 0 ? table.toString() : `${table.toString()}\n${rest} more rows (--limit ${rows.length} shows all)`;
}

/** Units that people read go from the name to the value. */
function heading(name: string): string {
  return name.replace(/_(bytes|us)$/, "").replaceAll("_", " ");
}

function cell(name: string, value: unknown, isNumber: boolean): string {
  if (value === null || value === undefined) return "";
  if (isNumber && name.endsWith("_bytes")) return bytesText(Number(value));
  if (isNumber && name.endsWith("_us")) return durationText(Number(value));
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A command line may hold line ends, and whatever else would move a terminal's cursor.
  return text.replace(CONTROL_CHARACTERS, " ");
}

/** Bytes as people say them, to three digits. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes, unit = 0;
  for (; value >= 1_024 && unit < units.length - 1; unit++) value /= 1_024;
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Microseconds as people say them. */
export function durationText(us: number): string {
  if (us < 1_000) return `${us} us`;
  return us < 1_000_000 ? `${Number((us / 1_000).toPrecision(3))} ms` : `${Number((us / 1_000_000).toPrecision(3))} s`;
}

/** DuckDB gives 64-bit numbers as text; they become numbers where JavaScript holds them exactly. */
function formatJson({ columns, rows }: Answer): string {
  const numbers = new Set(columns.filter(({ isNumber }) => isNumber).map(({ name }) => name));
  const exact = (name: string, value: unknown) => numbers.has(name) && value !== null && isExact(String(value)) ? Number(value) : value;
  return JSON.stringify(
    rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, exact(name, value)]))),
    null,
    2,
  );
}

function isExact(text: string): boolean {
  return !/^-?\d+$/.test(text) || Number.isSafeInteger(Number(text));
}

function csvLine(values: readonly unknown[]): string {
  return values.map((value) => {
    const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(",");
}
