/** The accounting of a simulated fleet: every counter is what the senders' side knows. */

import assert from "node:assert/strict";
import { StreamTable } from "./streams.ts";
import { FleetSimulation } from "./testdata/fleet_simulation.ts";

for (const [name, seed] of [["the same", 1], ["another", Date.now() >>> 0]] as const) {
  Deno.test(`StreamTable is exact over a million events of ${name} fleet: loss, duplication, reordering, outages and restarts`, () => {
    const simulation = new FleetSimulation({ events: 1_000_000, agents: 3, seed }, new StreamTable());
    simulation.run();
    for (const { name: counter, truth, counted } of simulation.compare()) {
      assert.equal(counted, truth, `${counter}, seed ${seed}`);
      if (seed === 1) assert.ok(truth > 0, `${counter} did not occur`);
    }
  });
}
