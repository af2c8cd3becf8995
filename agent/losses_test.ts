/** The sum of what is lost, and what is not lost after all. */

import assert from "node:assert/strict";
import { droppedEvents, kernelLosses } from "./losses.ts";

const COUNTERS = { events: 9, ring_lost: 1, map_full: 2, opened: 0, ended: 0, failed: 0, found: 0, unowned: 0, left_out: 0 };

Deno.test("kernelLosses() takes missed probes whose news came late for no loss", () => {
  const kernel = { counters: () => COUNTERS, missedRuns: () => 10, hookCounts: () => ({ late_end: 7 }), udp: null };
  const losses = kernelLosses(kernel);
  assert.deepEqual(losses, {
    ring_lost_events: 1,
    map_full_sockets: 2,
    missed_hook_runs: 3,
    udp_lost_datagrams: 0,
    udp_missed_calls: 0,
  });
  assert.equal(kernelLosses({ ...kernel, missedRuns: () => null }).missed_hook_runs, 0);
});

Deno.test("droppedEvents() is the sum over all places", () => {
  const losses = {
    ring_lost_events: 1,
    map_full_sockets: 2,
    missed_hook_runs: 4,
    udp_lost_datagrams: 8,
    udp_missed_calls: 16,
    governor_dropped_flows: 32,
    send_lost_records: 64,
  };
  assert.equal(droppedEvents(losses), 127);
});
