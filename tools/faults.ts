/** `deno task faults [--faults N] [--seed S]`: brings faults upon the jobs of a lake until one loses, doubles or breaks something. */

import { Command } from "@commander-js/extra-typings";
import { missingDisk } from "../tests/faults/disk.ts";
import { runFaults, summary } from "../tests/faults/faults.ts";

const { faults, seed, auditEvery } = new Command("faults")
  .option("--faults <number>", "how many faults", Number, 300)
  .option(
    "--seed <number>",
    "of the random numbers, so that the same faults come again",
    Number,
    crypto.getRandomValues(new Uint32Array(1))[0]!,
  )
  .option("--audit-every <number>", "faults between two audits", Number, 25)
  .parse(Deno.args, { from: "user" }).opts();

const missing = await missingDisk();
if (missing !== null) console.error(`without lost power and full disks: ${missing}`);
const options = { faults, seed, topic: null, hasDisk: missing === null, auditEvery, log: (line: string) => console.log(line) };
console.log(`seed ${seed}`);
const result = await runFaults(options);
for (const problem of result.problems) console.error(problem);
console.log(summary(options, result));
Deno.exit(result.problems.length === 0 ? 0 : 1);
