/** The interim clock, with clocks of the test's own. */

import assert from "node:assert/strict";
import { InterimClock, MINUTE_MS, nextReportMs, spreadMs } from "./interim_clock.ts";

const MINUTE = 29_000_000 * MINUTE_MS;

/** Times of the reports within `forMs`, relative to the minute, of a clock that is asked every millisecond. */
function reports(intervalMs: number, startMs: number, forMs: number, stepAtMs = Infinity, stepMs = 0): number[] {
  const clock = new InterimClock(), found: number[] = [];
  for (let t = 0; t < forMs; t++) {
    const unixMs = MINUTE + startMs + t + (t >= stepAtMs ? stepMs : 0);
    const now = { monotonicMs: 5_000 + t, unixMs };
    if (clock.msUntilDue(now, intervalMs) > 0) continue;
    clock.reported(now);
    found.push(unixMs - MINUTE);
  }
  return found;
}

Deno.test("nextReportMs() gives whole intervals of the minute, and the beginning of each minute", () => {
  const next = (unixMs: number, intervalMs: number) => nextReportMs(MINUTE + unixMs, intervalMs) - MINUTE;
  assert.deepEqual([0, 1, 9_999, 10_000, 59_999].map((ms) => next(ms, 10_000)), [10_000, 10_000, 10_000, 20_000, 60_000]);
  assert.deepEqual([55_999, 56_000, 59_000].map((ms) => next(ms, 7_000)), [56_000, 60_000, 60_000]);
  assert.deepEqual([0, 45_000].map((ms) => next(ms, 45_000)), [45_000, 60_000]);
  assert.deepEqual([0, 59_999].map((ms) => next(ms, 60_000)), [60_000, 60_000]);
});

Deno.test("InterimClock reports just after the boundaries, wherever it was started", () => {
  assert.deepEqual(reports(10_000, 3_456, 60_000), [10_001, 20_001, 30_001, 40_001, 50_001, 60_001]);
  assert.deepEqual(reports(25_000, 59_000, 65_000), [60_001, 85_001, 110_001, 120_001]);
});

Deno.test("InterimClock follows a wall clock that is set", () => {
  assert.deepEqual(reports(10_000, 1_000, 30_000, 5_000, 8_500), [20_001, 30_001]); // forward, over a boundary
  assert.deepEqual(reports(10_000, 1_000, 30_000, 12_000, -4_500), [10_001, 10_001, 20_001]); // back over one: it comes again
});

Deno.test("InterimClock reports at the beginning of a minute that passed while a report was made", () => {
  const clock = new InterimClock(), at = (ms: number) => ({ monotonicMs: ms, unixMs: MINUTE + ms });
  assert.equal(clock.msUntilDue(at(49_000), 10_000), 1_001);
  clock.reported(at(60_500));
  assert.ok(clock.msUntilDue(at(60_500), 10_000) < 0);
  clock.reported(at(60_501));
  assert.equal(clock.msUntilDue(at(60_501), 10_000), 70_001 - 60_501);
});

Deno.test("InterimClock has nothing due without an interval, and reckons anew with another", () => {
  const clock = new InterimClock(), at = (ms: number) => ({ monotonicMs: ms, unixMs: MINUTE + ms });
  assert.equal(clock.msUntilDue(at(1_000), null), Infinity);
  assert.equal(clock.msUntilDue(at(1_000), 60_000), 59_001);
  assert.equal(clock.msUntilDue(at(1_000), 10_000), 9_001);
});

Deno.test("spreadMs() spreads hosts evenly over half the interval, at most 5 s, each always alike", () => {
  const hosts = Array.from({ length: 4_000 }, (_, i) => `host-${i}`);
  for (const [intervalMs, mostMs] of [[10_000, 5_000], [60_000, 5_000], [1_000, 500]] as const) {
    const quarters = Map.groupBy(hosts, (host) => Math.floor(4 * spreadMs(host, intervalMs) / mostMs));
    assert.deepEqual([...quarters.keys()].sort(), [0, 1, 2, 3]);
    for (const quarter of quarters.values()) assert.ok(quarter.length > 900, `${quarter.length} of 4000`);
  }
  assert.equal(spreadMs("a", 10_000), spreadMs("a", 10_000));
});
