/** Faults upon the jobs of a lake, between any two of their steps: nothing is lost, doubled or unreadable, and nobody has to help. */

import assert from "node:assert/strict";
import { Broker } from "../tools/kafka.ts";
import { missingDisk } from "./faults/disk.ts";
import { DEEDS, type FaultOptions, runFaults, summary } from "./faults/faults.ts";
import { MUTATIONS, runMutation } from "./faults/mutations.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";
import { PROJECT, readSource } from "./sources.ts";

const compiler = await missingCommand("cc", "--version"), disk = await missingDisk();

/** The same faults each time; `deno task faults` draws others. */
const SEED = 20_261_126;

function someFaults(faults: number, broker: Broker | null): FaultOptions {
  return {
    faults,
    seed: SEED,
    broker,
    hasDisk: disk === null,
    auditEvery: 30,
    project: PROJECT,
    deeds: DEEDS,
    log: () => {},
  };
}

async function assertExact(options: FaultOptions): Promise<void> {
  const result = await runFaults(options);
  console.log(summary(options, result));
  assert.deepEqual(result.problems, [], summary(options, result));
}

testWith(compiler, "260 faults upon jobs that read an embedded topic", () => assertExact(someFaults(260, null)));

testWith(firstMissing(compiler, await missingCommand("java", "-version")), "40 faults upon jobs that read from a broker", async () => {
  await using broker = await Broker.start();
  await assertExact(someFaults(40, broker));
});

Deno.test("every way in which the jobs are broken on purpose still changes them", async () => {
  for (const { file, from } of MUTATIONS) assert.ok((await readSource(file)).includes(from), `${file} has no more "${from}"`);
});

for (const mutation of MUTATIONS.filter(({ deeds }) => deeds.includes("stop")).slice(0, 1)) {
  testWith(compiler, `the harness sees that ${mutation.what}`, async () => {
    const { problems } = await runMutation(mutation, { ...someFaults(60, null), auditEvery: 5 });
    assert.notDeepEqual(problems, []);
  });
}
