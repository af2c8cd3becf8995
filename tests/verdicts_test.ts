/** Faults that are injected into an application on hosts of its own are found where they are, and nowhere else. */

import assert from "node:assert/strict";
import { faultsOf } from "../bench/verdicts/faults.ts";
import { injectFaults, judgeFaults } from "../bench/verdicts/run.ts";
import { missingCells } from "../bench/verdicts/yard.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("clang-14", "--version"), await missingCells());

/** One of each, but of those that take the longest to be sure of. */
const KINDS = [
  "delay",
  "loss",
  "reordering",
  "cut path",
  "slow reader, server",
  "slow reader, client",
  "slow sender, server",
  "slow sender, client",
  "server host without processor time",
  "full accept queue",
  "refused",
  "reset by the server",
];
/** Nine of ten, as the machine has more to do than the application. */
const RIGHT_MIN = 11;

testWith(missing, "bottlenecks finds the place of injected faults, and accuses no healthy edge", async () => {
  const faults = faultsOf(7, KINDS.length, KINDS), folder = await Deno.makeTempDir();
  const judged = await judgeFaults(faults, await injectFaults(faults, faults.length, folder, () => {}), folder);
  await Deno.remove(folder, { recursive: true });
  const told = ({ fault, edge, verdict, evidence }: typeof judged[number]) =>
    `${fault.kind}, ${fault.detail}: ${edge}: ${verdict}, ${evidence}`;
  const accused = judged.filter(({ expected, verdict }) =>
    expected === "healthy" && verdict !== "healthy" && verdict !== "insufficient data"
  );
  assert.deepEqual(accused.map(told), []);
  const wrong = judged.filter(({ expected, verdict }) => expected !== "healthy" && verdict !== expected);
  const right = faults.filter((fault) => !wrong.some((each) => each.fault === fault));
  assert.ok(right.length >= RIGHT_MIN, wrong.map(told).join("\n"));
});
