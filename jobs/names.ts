/**
 * Gives the ends of conversations the names of services. `analytics/views/named_conversation.sql` has the order; this makes what
 * it needs beside the flows: the ranges of a file, and what reverse DNS knows.
 */

import { z } from "zod";
import { readListFile } from "./list_file.ts";
import { valuesView } from "./portable_sql.ts";
import { cutRanges, RANGE_KEYS, rangesView } from "./timed_ranges.ts";

const NameItem = z.strictObject({ ...RANGE_KEYS, service: z.string("the name of a service").min(1, "the name of a service") });

/**
 * The statement that makes the view name_range.
 *
 * @param path YAML or JSON with a list `names`, or CSV; null for no names.
 * @throws {SyntaxError} If the file is wrong; with the line.
 */
export async function nameRangesView(path: string | null): Promise<string> {
  if (path === null) return rangesView("name_range", "service", []);
  const items = await readListFile(path, "names", NameItem);
  return rangesView("name_range", "service", cutRanges(path, items, ({ service }) => service, "nested may stand"));
}

/** An address, as canonical text, and its name in DNS. */
export interface ReverseName {
  readonly address: string;
  readonly service: string;
}

/** The statement that makes the view reverse_name. */
export function reverseNamesView(names: readonly ReverseName[]): string {
  return valuesView("reverse_name", [["address", "text"], ["service", "text"]], names.map(({ address, service }) => [address, service]));
}
