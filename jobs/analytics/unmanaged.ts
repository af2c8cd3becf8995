/** Endpoints that nobody answers for. */

import type { Engine } from "../portable_sql.ts";
import type { Question } from "../question.ts";
import { createZoneViews } from "../zones.ts";
import { type Analysis, sqlFile } from "./analysis.ts";

export const unmanaged: Analysis = {
  name: "unmanaged",
  description: "endpoints with no owner, agent or registered service, by how exposed they are",
  file: sqlFile("unmanaged"),
  parameters: ["zones"],
  isGraph: false,
  views: ["address_zone", "zoned_conversation"],
  prepare: async (engine: Engine, { zones }: Question) => await createZoneViews(engine, zones, null),
};
