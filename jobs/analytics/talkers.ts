/** The services with the most traffic. */

import { type Analysis, sqlFile } from "./analysis.ts";

export const talkers: Analysis = {
  name: "talkers",
  description: "services by their traffic: bytes, rates, peers, the busiest minute, and how steady it is",
  file: sqlFile("talkers"),
  parameters: [],
  isGraph: false,
};
