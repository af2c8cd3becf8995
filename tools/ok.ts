/** `deno task ok`: the quick gate. Stops at the first phase that fails, with its output. */

/** Folders of the jobs whose tests the other process runs. */
const JOBS_APART = ["jobs/audit", "jobs/lake", "jobs/repair"];
/** Tests that need nothing but this checkout, of two processes that take about as long. */
const QUICK_TESTS = [
  ["jobs", `--ignore=${JOBS_APART.join(",")}`],
  [
    "lib",
    "agent",
    "collector",
    "ffi",
    "tests/architecture_test.ts",
    "tests/tidy_test.ts",
    "tests/generated_test.ts",
    ...JOBS_APART,
  ],
];

interface Phase {
  readonly name: string;
  /** Arguments of processes that run at once. */
  readonly commands: readonly (readonly string[])[];
}

const PHASES: readonly Phase[] = [
  { name: "format", commands: [["fmt", "--check", "--quiet"]] },
  { name: "lint", commands: [["lint", "--quiet"]] },
  { name: "types", commands: [["check", "--quiet", "."]] },
  {
    name: "unit, architecture, tidy, generated",
    commands: QUICK_TESTS.map((paths) => ["test", "--quiet", "--no-check", "-A", "--unstable-worker-options", ...paths]),
  },
];

const PROJECT = new URL("../", import.meta.url);

/** Runs the phases in order; false if one fails. */
async function runOk(): Promise<boolean> {
  for (const { name, commands } of PHASES) {
    const startMs = performance.now();
    const failed = (await Promise.all(commands.map(run))).filter(({ success }) => !success);
    console.log(`${failed.length === 0 ? "ok    " : "FAILED"} ${name} (${((performance.now() - startMs) / 1_000).toFixed(1)} s)`);
    if (failed.length === 0) continue;
    for (const { stdout, stderr } of failed) {
      await Deno.stdout.write(stdout);
      await Deno.stderr.write(stderr);
    }
    return false;
  }
  return true;
}

async function run(args: readonly string[]): Promise<Deno.CommandOutput> {
  return await new Deno.Command(Deno.execPath(), { args: [...args], cwd: PROJECT, stdout: "piped", stderr: "piped" }).output();
}

if (import.meta.main) Deno.exit(await runOk() ? 0 : 1);
