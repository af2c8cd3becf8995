/**
 * Boots every kernel of the matrix, with its type information and with it hidden, and holds what `tests/kernel/cases.ts` says.
 * `deno task test:kernel [SERIES...]` prints what each case said, and ends with the counts.
 */

import { formatTable } from "../../bench/table.ts";
import { taskArguments } from "../../chain/program.ts";
import { fetchKernel, KERNELS } from "../../tools/kernels.ts";
import { PURPOSES, setUp } from "../../tools/setup.ts";
import { PROJECT } from "../sources.ts";
import { type Case, casesOf, type Machine, PASSED, TESTS_PASSED } from "./cases.ts";
import { runInVm } from "./vm.ts";

export interface Outcome {
  readonly kernel: string;
  readonly types: string;
  readonly name: string;
  readonly passed: boolean;
  readonly said: string;
}

const CASE = "SKYFALL-CASE ";
const SAID_MAX = 100;
/** Machines that run side by side: one a core, as each does one thing after another. */
const LANES_MAX = 4;

/** Of some series, or of all where none is named. */
export function machinesOf(names: readonly string[]): Machine[] {
  const all = KERNELS.map(({ series }) => series);
  return all.filter((series) => names.length === 0 || names.includes(series))
    .flatMap((series) => [{ series, types: "visible" }, { series, types: "hidden" }] as const);
}

/** Runs the cases of each machine, the machines side by side; the promises settle in about the order of `machines`. */
export function runMachines(machines: readonly Machine[]): Promise<Outcome[]>[] {
  const results = machines.map(() => Promise.withResolvers<Outcome[]>());
  for (const { promise } of results) promise.catch(() => {}); // whoever waits for it gets the error; until then it is nobody's
  const waiting = machines.entries();
  const lanes = Math.min(navigator.hardwareConcurrency, LANES_MAX);
  for (let lane = 0; lane < lanes; lane++) {
    (async () => {
      for (const [i, machine] of waiting) await runCases(machine).then(results[i]!.resolve, results[i]!.reject);
    })();
  }
  return results.map(({ promise }) => promise);
}

async function runCases(machine: Machine): Promise<Outcome[]> {
  const kernel = await fetchKernel(KERNELS.find(({ series }) => series === machine.series)!);
  const cases = casesOf(machine);
  const script = [
    `cd '${PROJECT.pathname}'`,
    ...(machine.types === "hidden" ? ["mkdir /run/empty; mount --bind /run/empty /sys/kernel/btf"] : []),
  ];
  for (const [i, { command, before }] of cases.entries()) {
    script.push(`echo '${CASE}${i}'`, before?.(kernel.release) ?? ":", await shellCommand(command));
  }
  const { output, seconds } = await runInVm(kernel, script.join("\n"));
  const said = new Map(output.split(CASE).slice(1).map((part) => [parseInt(part), part.slice(part.indexOf("\n") + 1).trim()]));
  const outcomes = cases.map(({ name, expected }, i) => {
    const text = errorOf(said.get(i) ?? "nothing");
    return { kernel: kernel.release, types: machine.types, name, passed: expected(kernel.release).test(text), said: text };
  });
  const wrong = outcomes.filter(({ passed }) => !passed);
  const right = `${outcomes.length - wrong.length} of ${outcomes.length} as expected`;
  console.log(`${kernel.release}, types ${machine.types}: ${right}, ${seconds.toFixed(0)} s`);
  for (const { name, said } of wrong) console.error(`FAILED ${name}: ${said}`);
  return outcomes;
}

async function shellCommand(command: Case["command"]): Promise<string> {
  const quote = (words: readonly string[]) => words.map((word) => `'${word}'`).join(" ");
  if ("check" in command) return `${quote([Deno.execPath(), ...await taskArguments("agent"), "check"])} ${command.check}`;
  const { tests, rung } = command;
  return `REQUIRE_ALL=1 AGENT_RUNG=${rung} ${quote([Deno.execPath(), "test", "--no-check", "-A", tests])}`;
}

/** The error of the agent's log where it failed, else all that it printed. */
function errorOf(printed: string): string {
  const line = printed.split("\n").findLast((line) => line.startsWith('{"time"'));
  return line === undefined ? printed : JSON.parse(line).error;
}

export function formatOutcomes(outcomes: readonly Outcome[]): string {
  return formatTable(
    ["kernel", "types", "rung", "as expected", "said"],
    outcomes.map(({ kernel, types, name, passed, said }) => [kernel, types, name, passed ? "yes" : "NO", shorten(said)]),
  );
}

/** What a case said, in a few words. */
function shorten(said: string): string {
  const passed = PASSED.exec(said), taken = /^rung (\S+): taken$/m.exec(said);
  if (passed !== null) return `${passed[1]} of ${passed[1]} fields${taken === null ? "" : `, took ${taken[1]}`}`;
  const tests = TESTS_PASSED.exec(said);
  if (tests !== null) return `${tests[1]} tests passed`;
  const words = said.replace(/^Cannot observe this kernel: rung "[^"]*": /, "");
  return `refused: ${words.length > SAID_MAX ? `${words.slice(0, SAID_MAX)}...` : words}`;
}

/** Whether there were cases, and all passed. */
async function runMatrix(series: readonly string[]): Promise<boolean> {
  const remedy = await setUp(PURPOSES["kernel"]!);
  if (remedy !== null) throw new Error(`Cannot run virtual machines; first: sudo sh -c '${remedy}'`);
  const startMs = performance.now();
  const outcomes = (await Promise.all(runMachines(machinesOf(series)))).flat();
  const failed = outcomes.filter(({ passed }) => !passed).length;
  console.log(`\n${formatOutcomes(outcomes)}`);
  console.log(`\n${((performance.now() - startMs) / 60_000).toFixed(1)} min`);
  console.log(`${outcomes.length - failed} passed, ${failed} failed`);
  return failed === 0 && outcomes.length > 0;
}

if (import.meta.main) Deno.exit(await runMatrix(Deno.args) ? 0 : 1);
