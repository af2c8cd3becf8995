/** `deno task test`: installs what the tests need, runs the quick gate's checks and every test, and ends with the counts. */

import { PURPOSES, setUp } from "./setup.ts";

const PROJECT = new URL("../", import.meta.url);
const CHECKS = [["fmt", "--check", "--quiet"], ["lint", "--quiet"], ["check", "--quiet", "."]];

const remedy = await setUp(PURPOSES["test"]!);
if (remedy !== null) console.log(`some tests will be skipped; to have them all: sudo sh -c '${remedy}'`);

let passed = 0, failed = 0;
for (const args of CHECKS) {
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: PROJECT }).output();
  console.log(`deno ${args.join(" ")} ... ${success ? "ok" : "FAILED"}`);
  if (success) passed++;
  else failed++;
}

const report = await Deno.makeTempFile({ suffix: ".xml" });
const args = ["test", "--no-check", "-A", `--junit-path=${report}`];
await new Deno.Command(Deno.execPath(), { args, cwd: PROJECT, stdout: "inherit", stderr: "inherit" }).output();
const counts = /<testsuites [^>]*tests="(\d+)"[^>]*failures="(\d+)"[^>]*errors="(\d+)"/.exec(await Deno.readTextFile(report));
const skipped = (await Deno.readTextFile(report)).match(/<skipped/g)?.length ?? 0;
await Deno.remove(report);
if (counts === null) {
  console.error("Cannot count the tests: the runner wrote no report");
  failed++;
} else {
  const bad = Number(counts[2]) + Number(counts[3]);
  failed += bad;
  passed += Number(counts[1]) - bad - skipped;
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
Deno.exit(failed === 0 ? 0 : 1);
