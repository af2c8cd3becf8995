/**
 * `deno task faults [--faults N] [--seed S] [--kafka]`: brings faults upon the jobs of a lake, and tells what was lost, doubled or broken.
 * With `--mutations` it breaks the jobs on purpose, one way after another, and fails where that is not seen.
 */

import { Command } from "@commander-js/extra-typings";
import { missingDisk } from "../tests/faults/disk.ts";
import { DEEDS, type FaultOptions, runFaults, summary } from "../tests/faults/faults.ts";
import { MUTATIONS, runMutation } from "../tests/faults/mutations.ts";
import { Broker } from "./kafka.ts";

/** Faults of one deed that bring any mutation to light. */
const MUTATION_FAULTS = 150;

const { faults, seed, auditEvery, kafka, mutations } = new Command("faults")
  .option("--faults <number>", "how many faults", Number, 300)
  .option(
    "--seed <number>",
    "of the random numbers, so that the same faults come again",
    Number,
    crypto.getRandomValues(new Uint32Array(1))[0]!,
  )
  .option("--kafka", "from a real broker, which may be restarted, instead of an embedded topic", false)
  .option("--audit-every <number>", "faults between two audits", Number, 25)
  .option("--mutations", "break the jobs on purpose, and see that it is seen", false)
  .parse(Deno.args, { from: "user" }).opts();

async function runAll(options: FaultOptions): Promise<boolean> {
  const result = await runFaults(options);
  for (const problem of result.problems) console.error(problem);
  console.log(summary(options, result));
  return result.problems.length === 0;
}

async function runMutations(options: FaultOptions): Promise<boolean> {
  let seen = 0;
  for (const mutation of MUTATIONS) {
    const result = await runMutation(mutation, { ...options, faults: MUTATION_FAULTS, auditEvery: 5, log: () => {} });
    const [first] = result.problems;
    if (first !== undefined) seen++;
    console.log(`${mutation.what}: ${first === undefined ? `NOT SEEN in ${result.faults} faults` : `seen ${first}`}`);
  }
  console.log(`${seen} of ${MUTATIONS.length} seen`);
  return seen === MUTATIONS.length;
}

const missing = await missingDisk();
if (missing !== null) console.error(`without lost power and full disks: ${missing}`);
await using broker = kafka ? await Broker.start() : null;
const options: FaultOptions = {
  faults,
  seed,
  broker,
  hasDisk: missing === null,
  auditEvery,
  project: new URL("../", import.meta.url),
  deeds: DEEDS,
  log: (line) => console.log(line),
};
console.log(`seed ${seed}`);
Deno.exitCode = await (mutations ? runMutations : runAll)(options) ? 0 : 1;
