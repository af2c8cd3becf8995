/** Whether `bottlenecks` finds the place of faults that are injected into an application on hosts that are network namespaces. */

import { faultsOf } from "./verdicts/faults.ts";
import { type FaultRun, injectFaults, judgeFaults } from "./verdicts/run.ts";
import { formatTable } from "./table.ts";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    faults: { type: "string", default: "64" },
    cells: { type: "string", default: "16" },
    seed: { type: "string", default: "1" },
    kinds: { type: "string" },
    data: { type: "string" },
    again: { type: "string" },
  },
});
const faults = faultsOf(Number(values.seed), Number(values.faults), values.kinds?.split(","));
const again = values.again ?? null, folder = again ?? values.data ?? await Deno.makeTempDir();
const run: FaultRun = again === null
  ? await injectFaults(faults, Math.min(Number(values.cells), faults.length), folder, (line) => console.log(line))
  : JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
await Deno.writeTextFile(`${folder}/run.json`, JSON.stringify(run));
const judged = await judgeFaults(faults, run, folder);
await Deno.writeTextFile(
  `${folder}/judged.json`,
  JSON.stringify(
    judged.map((j) => ({ ...j, detail: j.fault.detail, fault: j.fault.kind })),
    (_, value) => typeof value === "bigint" ? Number(value) : value,
  ),
);
const wrong = judged.filter(({ expected, verdict }) => expected !== verdict);
console.log(formatTable(
  ["fault", "detail", "edge", "expected", "verdict", "evidence"],
  wrong.map(({ fault, edge, expected, verdict, evidence }) => [fault.kind, fault.detail, edge, expected, verdict, evidence]),
));
const right = faults.filter((fault) => !wrong.some((judged) => judged.fault === fault && judged.expected !== "healthy"));
console.log(`faults: ${right.length} of ${faults.length} right on every edge that they hold up`);
