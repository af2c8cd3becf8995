/**
 * `deno task test`: installs what the tests need, runs the quick gate's checks and every test, and ends with the counts.
 *
 * The files of a program's folder share one process; each file under `tests/` has one of its own, with a deadline, so
 * that one which hangs is named and ended, and the others still run.
 */

import { fetchKernels } from "./kernels.ts";
import { PURPOSES, setUp } from "./setup.ts";

const PROJECT = new URL("../", import.meta.url);
const CHECKS = [["fmt", "--check", "--quiet"], ["lint", "--quiet"], ["check", "--quiet", "."]];
/** Folders whose tests need nothing but this checkout. */
const UNIT_FOLDERS = ["lib", "ffi", "agent", "collector", "jobs"];
/** Time that one process of tests may take; building and fetching third parties' programs included. */
const DEADLINE_S = 20 * 60;
/** What timeout(1) ends with where it had to end the command. */
const TIMEOUT_EXIT_CODE = 124;

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs one of the quick gate's checks; what it printed is shown where it fails. */
async function runCheck(args: readonly string[]): Promise<Counts> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], cwd: PROJECT, stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  console.log(`deno ${args.join(" ")} ... ${success ? "ok" : "FAILED"}`);
  if (success) return { passed: 1, failed: 0, skipped: 0 };
  await Deno.stdout.write(stdout);
  await Deno.stdout.write(stderr);
  return { passed: 0, failed: 1, skipped: 0 };
}

/** Runs the tests of some paths in a process of their own. One that ends without a report counts as one failed test. */
async function runTests(paths: readonly string[]): Promise<Counts> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const { success, code } = await new Deno.Command("timeout", {
    args: ["--kill-after=10", String(DEADLINE_S), Deno.execPath(), "test", "--no-check", "-A", `--junit-path=${report}`, ...paths],
    cwd: PROJECT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code === TIMEOUT_EXIT_CODE) console.error(`${paths.join(" ")}: ended, as it took more than ${DEADLINE_S} s`);
  const counts = parseReport(await Deno.readTextFile(report));
  await Deno.remove(report);
  if (counts !== null && success === (counts.failed === 0)) return counts;
  console.error(`${paths.join(" ")}: the process failed${counts === null ? " without a report" : ""}`);
  return { passed: counts?.passed ?? 0, failed: (counts?.failed ?? 0) + 1, skipped: counts?.skipped ?? 0 };
}

/** Counts of a JUnit report, null where it is none. */
function parseReport(xml: string): Counts | null {
  const counts = /<testsuites [^>]*tests="(\d+)"[^>]*failures="(\d+)"[^>]*errors="(\d+)"/.exec(xml);
  if (counts === null) return null;
  const failed = Number(counts[2]) + Number(counts[3]), skipped = xml.match(/<skipped/g)?.length ?? 0;
  return { passed: Number(counts[1]) - failed - skipped, failed, skipped };
}

/** Test files straight under `tests/`, in order. */
async function crossAreaTests(): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(new URL("tests", PROJECT)), ({ name }) => name);
  return names.filter((name) => name.endsWith("_test.ts")).sort().map((name) => `tests/${name}`);
}

/** A host of another distribution has no mirror of Debian's; the tests of the kernels that it lacks say so. */
async function fetchKernelsIfOffered(): Promise<void> {
  try {
    await fetchKernels();
  } catch (error) {
    console.log(`some tests will be skipped: ${error instanceof Error ? error.message : error}`);
  }
}

async function runAll(): Promise<boolean> {
  const remedy = await setUp(PURPOSES["test"]!);
  if (remedy !== null) console.log(`some tests will be skipped; to have them all: sudo sh -c '${remedy}'`);
  else await fetchKernelsIfOffered();
  const all: Counts[] = [];
  for (const args of CHECKS) all.push(await runCheck(args));
  all.push(await runTests(UNIT_FOLDERS));
  for (const path of await crossAreaTests()) all.push(await runTests([path]));
  const sum = (of: (counts: Counts) => number) => all.reduce((total, counts) => total + of(counts), 0);
  const failed = sum((c) => c.failed), skipped = sum((c) => c.skipped);
  console.log(`${sum((c) => c.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  return failed === 0;
}

if (import.meta.main) Deno.exit(await runAll() ? 0 : 1);
