/** Options that several commands have, each meaning the same everywhere. */

import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { FORMATS } from "../print.ts";
import { moment } from "../timed_ranges.ts";

const DEFAULT_LIMIT = 50;
const LIMIT_MAX = 1_000_000;

export const formatOption = new Option("--format <format>", "how the answer is printed").choices(FORMATS).default("table" as const);
export const limitOption = new Option("--limit <rows>", "rows of a table").argParser(wholeNumber(LIMIT_MAX)).default(DEFAULT_LIMIT);

/** A parser of whole numbers from 1. */
export function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > max) throw new InvalidArgumentError(`Needed a whole number of 1 to ${max}.`);
    return value;
  };
}

/** Milliseconds since 1970 of a time such as 2026-01-31T12:00:00Z, or a day. */
export function time(text: string): number {
  const parsed = moment.safeParse(text);
  if (!parsed.success) {
    throw new InvalidArgumentError("Needed a time such as 2026-01-31T12:00:00Z, or a day, which begins at midnight UTC.");
  }
  return parsed.data;
}

/** Whether what is printed may have colours: on a terminal, where nobody asked for none (no-color.org). */
export function isColoured(): boolean {
  return Deno.stdout.isTerminal() && !Deno.noColor;
}
