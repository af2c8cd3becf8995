/**
 * Gives the ends of conversations the names of services. `analytics/views/named_conversation.sql` has the order; this makes what
 * it needs beside the flows: the ranges of a file, and what reverse DNS knows.
 */

import { z } from "zod";
import { parseList, readListFile, readListText } from "./list_file.ts";
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
  const items = await readListFile(path, "names", NameItem, ["services"]);
  return rangesView("name_range", "service", cutRanges(path, items, ({ service }) => service, "nested may stand"));
}

const TierItem = z.strictObject({
  service: z.string("the name of a service").min(1, "the name of a service"),
  tier: z.int("a tier from 1, the most critical").min(1, "a tier from 1, the most critical"),
});

/**
 * Tiers of services, from 1, the most critical: the list `services` of the file of names, where it is no CSV and has one.
 *
 * @throws {SyntaxError} If the list is wrong; with the line.
 */
export async function readTiers(path: string | null): Promise<ReadonlyMap<string, number>> {
  if (path === null || path.endsWith(".csv")) return new Map();
  const items = parseList(path, await readListText(path), "services", TierItem, ["names"], true);
  return new Map(items.map(({ value: { service, tier } }) => [service, tier]));
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
