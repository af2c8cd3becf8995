/** Security zones: which addresses are in which, and what may cross from one to another. */

import { z } from "zod";
import { lineError, readListFile } from "./list_file.ts";
import { type Engine, valuesView } from "./portable_sql.ts";
import { cutRanges, RANGE_KEYS, rangesView, type TimedRange } from "./timed_ranges.ts";

/** In a policy, every zone. */
const ANY = "*";
/** The zone of addresses that no range holds; a policy may name it. */
const UNZONED = "unzoned";

const zoneName = z.string("the name of a zone").min(1, "the name of a zone");
const ZoneItem = z.strictObject({ ...RANGE_KEYS, zone: zoneName });

const PolicyItem = z.strictObject({
  from: zoneName,
  to: zoneName,
  port: z.coerce.number("a port of 0 to 65535").int("a port of 0 to 65535").min(0, "a port of 0 to 65535").max(
    65_535,
    "a port of 0 to 65535",
  )
    .nullable().default(null),
  transport: z.enum(["tcp", "udp"], "tcp or udp").nullable().default(null),
  action: z.enum(["allow", "deny"], "allow or deny"),
});

/**
 * Makes the views zone_range and zone_policy; without a file there are no rows in them.
 *
 * @throws {SyntaxError} If a file is wrong, two ranges overlap, or the policy names a zone that no range is of; with the line.
 */
export async function createZoneViews(engine: Engine, zonesPath: string | null, policyPath: string | null): Promise<void> {
  const ranges = await readZones(zonesPath);
  await engine.run(rangesView("zone_range", "zone", ranges));
  const columns = [
    ["position", "whole"],
    ["from_zone", "text"],
    ["to_zone", "text"],
    ["port", "whole"],
    ["transport", "text"],
    ["action", "text"],
  ] as const;
  const rules = await readPolicy(policyPath, new Set([UNZONED, ...ranges.map(({ value }) => value)]));
  await engine.run(valuesView("zone_policy", columns, rules));
}

async function readZones(path: string | null): Promise<TimedRange[]> {
  if (path === null) return [];
  return cutRanges(path, await readListFile(path, "zones", ZoneItem), ({ zone }) => zone, "none may overlap");
}

async function readPolicy(path: string | null, zones: ReadonlySet<string>): Promise<(string | number | null)[][]> {
  if (path === null) return [];
  const items = await readListFile(path, "policy", PolicyItem);
  return items.map(({ line, value: { from, to, port, transport, action } }, position) => {
    for (const zone of [from, to]) {
      if (zone !== ANY && !zones.has(zone)) {
        throw lineError(path, line, `there is no zone "${zone}", needed "${ANY}" or one of ${[...zones].toSorted().join(", ")}`);
      }
    }
    return [position, from, to, port, transport, action];
  });
}
