/** What crosses from one security zone to another, and whether it may. */

import type { Engine } from "../portable_sql.ts";
import { type Question, QuestionError } from "../question.ts";
import { createZoneViews } from "../zones.ts";
import { type Analysis, sqlFile } from "./analysis.ts";

export const zoneCrossings: Analysis = {
  name: "zone-crossings",
  description: "what crosses from one security zone to another, by port: allowed or not, new or not, and what only failed",
  file: sqlFile("zone_crossings"),
  parameters: ["zones", "policy"],
  isGraph: false,
  views: ["address_zone", "zoned_conversation", "known_crossing"],
  needsHistory: true,
  prepare: async (engine: Engine, { zones, policy }: Question) => {
    if (zones === null) throw new QuestionError("Cannot find what crosses zones: no zones are given, needed --zones FILE");
    await createZoneViews(engine, zones, policy);
  },
};
