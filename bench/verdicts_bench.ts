/**
 * Whether `bottlenecks` finds the place of faults that are injected into an application on hosts that are network namespaces:
 * `--faults N` of them, `--cells N` at once, of `--seed N`; `--data DIR` keeps the lake, and judges it again if it is there.
 */

import { parseArgs } from "node:util";
import { exists } from "../tools/present.ts";
import { formatTable } from "./table.ts";
import { faultsOf, KIND_NAMES } from "./verdicts/faults.ts";
import { type FaultRun, injectFaults, type Judged, judgeFaults } from "./verdicts/run.ts";

const { values } = parseArgs({
  options: {
    faults: { type: "string", default: "60" },
    cells: { type: "string", default: "12" },
    seed: { type: "string", default: "1" },
    data: { type: "string" },
  },
});
const faults = faultsOf(Number(values.seed), Number(values.faults));
const folder = values.data ?? await Deno.makeTempDir(), file = `${folder}/run.json`;
const run: FaultRun = await exists(file)
  ? JSON.parse(await Deno.readTextFile(file))
  : await injectFaults(faults, Number(values.cells), folder, console.log);
if (values.data !== undefined) await Deno.writeTextFile(file, JSON.stringify(run));
const judged = await judgeFaults(faults, run, folder);
if (values.data === undefined) await Deno.remove(folder, { recursive: true });

const wrong = judged.filter(({ expected, verdict }) => expected !== verdict);
const isWrong = new Set(wrong.filter(({ expected }) => expected !== "healthy").map(({ fault }) => fault));
console.log(formatTable(
  ["fault", "where", "edge", "must be", "verdict", "evidence"],
  wrong.map(({ fault, edge, expected, verdict, evidence }) => [fault.kind, fault.detail, edge, expected, verdict, evidence]),
));
console.log(formatTable(
  ["fault", "injected", "right on every edge"],
  KIND_NAMES.map((kind) => faults.filter((fault) => fault.kind === kind)).filter((of) => of.length > 0)
    .map((of) => [of[0]!.kind, of.length, of.filter((fault) => !isWrong.has(fault)).length]),
));
console.log(confusionMatrix(judged));
const accused = wrong.filter(({ expected, verdict }) => expected === "healthy" && verdict !== "insufficient data");
console.log(
  `${faults.length - isWrong.size} of ${faults.length} faults right on every edge that they hold up; ${accused.length} of ${
    judged.filter(({ expected }) => expected === "healthy").length
  } healthy edges accused`,
);

function confusionMatrix(judged: readonly Judged[]): string {
  const sorted = (names: readonly string[]) => [...new Set(names)].sort();
  const verdicts = sorted(judged.flatMap(({ expected, verdict }) => [expected, verdict]));
  return formatTable(
    ["edges that must be", ...verdicts],
    sorted(judged.map(({ expected }) => expected)).map((expected) => [
      expected,
      ...verdicts.map((verdict) => judged.filter((each) => each.expected === expected && each.verdict === verdict).length),
    ]),
  );
}
