/** Delays of the last minute, by rank. */

import assert from "node:assert/strict";
import { FlushDelays } from "./flush_delays.ts";

Deno.test("FlushDelays tells the median, the 99th percentile and the greatest delay of the last minute", () => {
  const delays = new FlushDelays();
  assert.deepEqual(delays.quantiles(0), []);
  delays.note(99_999, 1_000);
  for (let i = 0; i < 200; i++) delays.note(i, 70_000);
  assert.deepEqual(delays.quantiles(70_000), [{ quantile: 0.5, delayMs: 100 }, { quantile: 0.99, delayMs: 198 }, {
    quantile: 1,
    delayMs: 199,
  }]);
});
