/** `deno task fuzz [--inputs N] [--seed S] [--first I]`: feeds broken datagrams to the collector's decoder until one breaks it. */

import { Command } from "@commander-js/extra-typings";
import { fuzz, FuzzFailure } from "../tests/fuzz/fuzz.ts";

const { inputs, seed, first } = new Command("fuzz")
  .option("--inputs <number>", "how many datagrams", Number, 1_000_000)
  .option(
    "--seed <number>",
    "of the random numbers, so that a run can be had again",
    Number,
    crypto.getRandomValues(new Uint32Array(1))[0]!,
  )
  .option("--first <number>", "index of the first datagram", Number, 0)
  .parse(Deno.args, { from: "user" }).opts();

const PROGRESS_MS = 10_000;
const startMs = performance.now();
let shownMs = startMs;

function rate(done: number): string {
  return `${done} of ${inputs} inputs, ${Math.round(done / ((performance.now() - startMs) / 1_000))}/s`;
}

console.error(`seed ${seed}, inputs ${first} to ${first + inputs - 1}`);
try {
  const result = fuzz(seed, inputs, first, (done) => {
    if (performance.now() - shownMs < PROGRESS_MS) return;
    shownMs = performance.now();
    console.error(rate(done));
  });
  console.log(JSON.stringify({ seed, first, ...result, inputs_per_second: Math.round(inputs / ((performance.now() - startMs) / 1_000)) }));
} catch (error) {
  if (!(error instanceof FuzzFailure)) throw error;
  const path = await Deno.makeTempFile({ prefix: `fuzz-${seed}-${error.index}-`, suffix: ".sflow" });
  await Deno.writeFile(path, error.input);
  console.error(error.cause instanceof Error ? error.cause.stack : "");
  console.error(`${error.message}\nthe datagram is in ${path}; again: deno task fuzz --seed ${seed} --first ${error.index} --inputs 1`);
  Deno.exit(1);
}
