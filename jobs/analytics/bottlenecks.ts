/** Where an edge is held up: on the way, in a host, or in a program. */

import type { Engine } from "../portable_sql.ts";
import type { Question } from "../question.ts";
import { createZoneViews } from "../zones.ts";
import { type Analysis, createView, sqlFile } from "./analysis.ts";

/** Each is read several times by those after it. */
const VIEWS = ["edge_minute", "edge_usual", "edge_end", "edge_symptom"] as const;
const WEEK_MS = 7 * 86_400_000;

export const bottlenecks: Analysis = {
  name: "bottlenecks",
  description: "what holds each edge up: network path, a host or an application at either end, with the evidence and what is healthy",
  file: sqlFile("bottlenecks"),
  parameters: ["zones"],
  isGraph: false,
  baselineMs: WEEK_MS,
  prepare: async (engine: Engine, { zones }: Question) => {
    await createZoneViews(engine, zones, null);
    for (const view of VIEWS) {
      await createView(engine, view);
      await engine.keep(view);
    }
  },
};
