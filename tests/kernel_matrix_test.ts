/** The kernel matrix: on each of Debian's kernels, booted in a virtual machine, every rung of the ladder says what it must. */

import assert from "node:assert/strict";
import { keptRelease, KERNELS } from "../tools/kernels.ts";
import { casesOf } from "./kernel/cases.ts";
import { formatOutcomes, machinesOf, type Outcome, runMachines } from "./kernel/matrix.ts";
import { firstMissing, type Missing, missingCommand, testWith } from "./require.ts";

/** What a virtual machine runs is this host's own Deno, over this host's own files. */
async function missingVms(): Promise<Missing> {
  if (Deno.build.arch !== "x86_64") return `the kernels of the matrix are for x86_64, not for ${Deno.build.arch}`;
  return firstMissing(
    await missingCommand("qemu-system-x86_64", "--version"),
    await missingCommand("busybox", "true"),
    await missingCommand("cpio", "--version"),
  );
}

async function missingKernelOf(series: string): Promise<Missing> {
  const kept = await keptRelease(KERNELS.find((source) => source.series === series)!);
  return kept === null ? `kernel ${series} is not there; first: deno task setup kernel` : null;
}

const missing = await missingVms();
const kernels = new Map(await Promise.all(KERNELS.map(async ({ series }) => [series, await missingKernelOf(series)] as const)));
const machines = machinesOf([]);
/** Begins with the first test that needs it; all machines that can run then run. */
let running: ReadonlyMap<string, Promise<Outcome[]>> | undefined;

function outcomesOf(machineName: string): Promise<Outcome[]> {
  if (running === undefined) {
    const able = machines.filter(({ series }) => kernels.get(series) === null);
    const outcomes = runMachines(able);
    running = new Map(able.map(({ series, types }, i) => [`kernel ${series}, types ${types}`, outcomes[i]!]));
  }
  return running.get(machineName)!;
}

for (const machine of machines) {
  const machineName = `kernel ${machine.series}, types ${machine.types}`;
  for (const [i, { name }] of casesOf(machine).entries()) {
    testWith(firstMissing(missing, kernels.get(machine.series)!), `${machineName}: ${name}`, async () => {
      const { passed, said } = (await outcomesOf(machineName))[i]!;
      assert.ok(passed, `it said: ${said}`);
    });
  }
}

Deno.test.afterAll(async () => {
  const settled = await Promise.allSettled(running?.values() ?? []);
  const outcomes = settled.flatMap((result) => result.status === "fulfilled" ? result.value : []);
  if (outcomes.length > 0) console.log(formatOutcomes(outcomes));
});
