/** Reads the files that people keep beside a lake (names, zones, policies, topologies): YAML, JSON or CSV, each item with its line. */

import { CsvError, parse } from "csv-parse/sync";
import { z } from "zod";
import { isUnreadable, itemLines, parseConfigFile } from "../lib/config_file.ts";

/** An item of a file, and where it stands. */
export interface Listed<T> {
  readonly line: number;
  readonly value: T;
}

/** What `csv-parse` gives with `info`. */
const CsvRows = z.array(z.object({ record: z.record(z.string(), z.string()), info: z.object({ lines: z.int() }) }));

/** Something is wrong in a line of a file; the message says where, and what is needed. */
export function lineError(path: string, line: number, what: string): SyntaxError {
  return new SyntaxError(`Cannot read "${path}", line ${line}: ${what}`);
}

/**
 * Reads a file that is one list, as a whole, so that one that is replaced meanwhile is read old or new.
 *
 * @param key Of the list in YAML or JSON; a CSV file (RFC 4180, with a header, named `*.csv`) is the list.
 * @throws {SyntaxError} If it cannot be read, a key is unknown, or a value is impossible; with the line.
 */
export async function readListFile<S extends z.ZodObject>(
  path: string,
  key: string,
  schema: S,
  otherKeys: readonly string[] = [],
): Promise<Listed<z.output<S>>[]> {
  const text = await readListText(path);
  return path.endsWith(".csv") ? parseCsv(path, text, schema) : parseList(path, text, key, schema, otherKeys);
}

/**
 * One list of a YAML or JSON file's text.
 *
 * @param otherKeys What may be in the file besides.
 * @param isOptional Whether the file may be without the list.
 * @throws {SyntaxError} As above.
 */
export function parseList<S extends z.ZodObject>(
  path: string,
  text: string,
  key: string,
  schema: S,
  otherKeys: readonly string[],
  isOptional = false,
): Listed<z.output<S>>[] {
  const others = Object.fromEntries(otherKeys.map((other) => [other, z.unknown()]));
  const file: z.ZodObject<Record<string, z.ZodType>> = z.strictObject({
    ...others,
    [key]: isOptional ? z.array(schema, `a list of ${key}`).default([]) : z.array(schema, `a list of ${key}`),
  });
  const list = z.custom<z.output<S>[]>(Array.isArray).parse(parseConfigFile(path, text, file)[key]);
  const lines = itemLines(text, key);
  return list.map((value, i) => ({ line: lines[i] ?? 1, value }));
}

/** @throws {SyntaxError} If it cannot be read. */
export async function readListText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    throw new SyntaxError(`Cannot read "${path}": ${error instanceof Error ? error.message : error}; needed a file that can be read`, {
      cause: error,
    });
  }
}

/** @internal For its test. */
function parseCsv<S extends z.ZodObject>(path: string, text: string, schema: S): Listed<z.output<S>>[] {
  return csvRows(path, text).map(({ record, info }) => {
    const given = Object.fromEntries(Object.entries(record).filter(([, value]) => value !== ""));
    const parsed = schema.safeParse(given);
    if (parsed.success) return { line: info.lines, value: parsed.data };
    const issues = parsed.error.issues;
    for (const issue of issues) {
      if (issue.code !== "unrecognized_keys") continue;
      throw lineError(path, 1, `there is no column "${issue.keys[0]}", needed one of ${Object.keys(schema.shape).join(", ")}`);
    }
    const name = String(issues[0]!.path[0]);
    const value = given[name];
    throw lineError(path, info.lines, `${name}: ${value === undefined ? "it is missing" : `"${value}"`}, needed ${issues[0]!.message}`);
  });
}

function csvRows(path: string, text: string): z.output<typeof CsvRows> {
  try {
    return CsvRows.parse(parse(text, { columns: true, info: true, skip_empty_lines: true, trim: true, bom: true }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw lineError(path, Number(error["lines"] ?? 1), error.message);
  }
}
