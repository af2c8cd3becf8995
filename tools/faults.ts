/** `deno task faults [--faults N] [--seed S]`: brings faults upon the jobs of a lake until one loses, doubles or breaks something. */

import { Command } from "@commander-js/extra-typings";
import { missingDisk } from "../tests/faults/disk.ts";
import { runFaults, summary } from "../tests/faults/faults.ts";
import { Broker } from "./kafka.ts";

const { faults, seed, auditEvery, kafka } = new Command("faults")
  .option("--faults <number>", "how many faults", Number, 300)
  .option(
    "--seed <number>",
    "of the random numbers, so that the same faults come again",
    Number,
    crypto.getRandomValues(new Uint32Array(1))[0]!,
  )
  .option("--kafka", "from a real broker, which may be restarted, instead of an embedded topic", false)
  .option("--audit-every <number>", "faults between two audits", Number, 25)
  .parse(Deno.args, { from: "user" }).opts();

const missing = await missingDisk();
if (missing !== null) console.error(`without lost power and full disks: ${missing}`);
await using broker = kafka ? await Broker.start() : null;
const options = { faults, seed, broker, hasDisk: missing === null, auditEvery, log: (line: string) => console.log(line) };
console.log(`seed ${seed}`);
const result = await runFaults(options);
for (const problem of result.problems) console.error(problem);
console.log(summary(options, result));
Deno.exitCode = result.problems.length === 0 ? 0 : 1;
