/** Prints answers: tables for people, CSV (RFC 4180) and JSON for programs. */

import Table from "cli-table3";
import type { Answer } from "./portable_sql.ts";

export const FORMATS = ["table", "csv", "json"] as const;
export type Format = typeof FORMATS[number];

const RED = "\x1b[31m", GREEN = "\x1b[32m", YELLOW = "\x1b[33m", RESET = "\x1b[39m";

// deno-lint-ignore no-control-regex -- they are what it is about
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]+/g;

/**
 * Formats an answer. A table has at most `limit` rows and says how many it leaves out; CSV and JSON have all.
 *
 * @param isColoured Whether a table marks its head, and what is bad, for a terminal.
 */
export function formatAnswer(answer: Answer, format: Format, limit: number, isColoured = false): string {
  switch (format) {
    case "table":
      return formatTable(answer, limit, isColoured);
    case "csv":
      return [answer.columns.map(({ name }) => name), ...answer.rows.map((row) => answer.columns.map(({ name }) => row[name]))].map(csvLine)
        .join("\r\n");
    case "json":
      return formatJson(answer);
  }
}

function formatTable({ columns, rows }: Answer, limit: number, isColoured: boolean): string {
  const shown = rows.slice(0, limit);
  const table = new Table({
    head: columns.map(({ name }) => heading(name)),
    colAligns: columns.map(({ isNumber }) => isNumber ? "right" : "left"),
    style: { head: isColoured ? ["bold"] : [], border: isColoured ? ["gray"] : [], compact: true },
  });
  for (const row of shown) {
    table.push(columns.map(({ name, isNumber }) => {
      const text = cell(name, row[name], isNumber);
      return isColoured ? coloured(name, text) : text;
    }));
  }
  const rest = rows.length - shown.length;
  if (rows.length === 0) return `${table.toString()}\nno rows`;
  return rest === 0 ? table.toString() : `${table.toString()}\n${rest} more rows (--limit ${rows.length} shows all)`;
}

/** Words of a verdict by what they tell; everything else keeps the terminal's own colour. */
const COLOURS: Readonly<Record<string, string>> = {
  "escaped": RED,
  "misdropped": RED,
  "overload": RED,
  "cut off": RED,
  "network path": RED,
  "remote host": RED,
  "remote application": RED,
  "local host": RED,
  "local application": RED,
  "removed": RED,
  "more losses": RED,
  "rejected": YELLOW,
  "insufficient data": YELLOW,
  "healthy": GREEN,
  "permitted": GREEN,
};

const VERDICTS = new Set(["verdict", "effect", "change"]);

function coloured(name: string, text: string): string {
  const colour = VERDICTS.has(name) ? COLOURS[text] : undefined;
  return colour === undefined ? text : `${colour}${text}${RESET}`;
}

/** How a column's name says its unit, which people read beside the value, and how that is written there. The first that fits. */
const UNITS: readonly (readonly [suffix: string, text: (value: number) => string])[] = [
  ["_bytes_per_second", (value) => `${bytesText(value)}/s`],
  ["_bps_per_day", (value) => `${scaled(value, "bit/s")} a day`],
  ["_per_second", (value) => scaled(value, "/s")],
  ["_bps", (value) => scaled(value, "bit/s")],
  ["_bytes", bytesText],
  ["_us", durationText],
  ["_percent", (value) => `${value} %`],
];

function unitOf(name: string): (typeof UNITS)[number] | undefined {
  return UNITS.find(([suffix]) => name.endsWith(suffix));
}

/** Units that people read go from the name to the value. */
export function heading(name: string): string {
  return name.slice(0, name.length - (unitOf(name)?.[0].length ?? 0)).replaceAll("_", " ");
}

/** A value as people read it. */
export function cell(name: string, value: unknown, isNumber: boolean): string {
  if (value === null || value === undefined) return "";
  if (isNumber) return unitOf(name)?.[1](Number(value)) ?? String(value);
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A command line may hold line ends, and whatever else would move a terminal's cursor.
  return text.replace(CONTROL_CHARACTERS, " ");
}

/** A number to three digits with the prefix of the SI that makes it short, as in "3.2 k/s". */
export function scaled(value: number, unit: string): string {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let rest = Math.abs(value), prefix = 0;
  for (; rest >= 1_000 && prefix < prefixes.length - 1; prefix++) rest /= 1_000;
  return `${Math.sign(value) * Number(rest.toPrecision(3))} ${prefixes[prefix]}${unit}`;
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
