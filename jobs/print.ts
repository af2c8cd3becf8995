/** Prints answers: tables for people, CSV (RFC 4180) and JSON for programs. */

import Table from "cli-table3";
import type { Answer } from "./portable_sql.ts";
import { cell, heading } from "./unit_text.ts";

export const FORMATS = ["table", "csv", "json"] as const;
export type Format = typeof FORMATS[number];

const RED = "\x1b[31m", GREEN = "\x1b[32m", YELLOW = "\x1b[33m", RESET = "\x1b[39m";

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
