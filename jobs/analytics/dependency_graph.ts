/** Which service depends on which. */

import { type Analysis, sqlFile } from "./analysis.ts";

export const dependencyGraph: Analysis = {
  name: "dependency-graph",
  description: "which service depends on which: connections, bytes, retransmits and round-trip time of every edge",
  file: sqlFile("dependency_graph"),
  parameters: ["rollup"],
  isGraph: true,
  reads: "edges once",
};
