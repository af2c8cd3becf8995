/**
 * The accounting beside the truth of a simulated fleet, and what it costs a datagram.
 *
 * `deno run -A bench/ledger_bench.ts [--events N] [--agents N] [--seed N]`
 */

import { parseArgs } from "node:util";
import { StreamTable } from "../collector/streams.ts";
import { FleetSimulation } from "../collector/testdata/fleet_simulation.ts";
import { formatTable } from "./table.ts";

const RATE_DATAGRAMS = 4_000_000, RATE_AGENTS = 1_000, RATE_ROUNDS = 5;
const PROGRESS_MS = 10_000;

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "20000000" },
    agents: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Date.now() >>> 0) },
  },
});

/** Datagrams a second on one core: the stream found, the number and the sample taken in. */
function accountingRates(): number[] {
  const addresses = Array.from({ length: RATE_AGENTS }, (_, i) => {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, 0x0a00_0000 + i);
    return view;
  });
  return Array.from({ length: RATE_ROUNDS }, () => {
    const table = new StreamTable();
    const startMs = performance.now();
    for (let i = 0, number = 0; i < RATE_DATAGRAMS; number++) {
      // The agents in an order that no cache foresees; one in 64 datagrams overtakes the one before.
      const sent = number % 64 === 62 ? number + 1 : number % 64 === 63 ? number - 1 : number;
      for (let j = 0; j < RATE_AGENTS; j++, i++) {
        const stream = table.find(addresses[j * 619 % RATE_AGENTS]!, 0, 4, 1);
        stream.arrive(sent, sent * 10, table.nowMs);
        stream.arriveSample(sent * 10, 10, 0);
      }
      table.nowMs += 10;
    }
    return RATE_DATAGRAMS / ((performance.now() - startMs) / 1_000);
  });
}

const rates = accountingRates();
const seed = Number(values.seed), table = new StreamTable();
const simulation = new FleetSimulation({ events: Number(values.events), agents: Number(values.agents), seed }, table);
const startMs = performance.now();
let saidMs = startMs;
simulation.run((events) => {
  if (performance.now() - saidMs < PROGRESS_MS) return;
  saidMs = performance.now();
  console.error(`${events} events simulated`);
});
const seconds = (performance.now() - startMs) / 1_000;
const compared = simulation.compare();
const residue = compared.reduce((sum, { truth, counted }) => sum + Math.abs(truth - counted), 0);
const { eventsMade, datagramsSent } = simulation.truth;
console.log(
  formatTable(["counter", "truth", "counted", "difference"], compared.map((c) => [c.name, c.truth, c.counted, c.counted - c.truth])),
);
console.log(
  `${eventsMade} events in ${datagramsSent} datagrams of ${values.agents} agents, seed ${seed}, in ${
    seconds.toFixed(1)
  } s: residue ${residue}`,
);
const best = Math.max(...rates), median = rates.toSorted((a, b) => a - b)[RATE_ROUNDS >> 1]!;
console.log(
  `accounting alone: ${(median / 1e6).toFixed(1)} M datagrams/s on one core (median of ${RATE_ROUNDS}, best ${(best / 1e6).toFixed(1)} M)`,
);
if (residue !== 0) Deno.exit(1);
