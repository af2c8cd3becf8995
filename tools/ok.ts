/** `deno task ok`: the quick gate. Stops at the first phase that fails, with its output. */

/** Tests that need nothing but this checkout. */
const QUICK_TESTS = [
  "lib",
  "agent",
  "collector",
  "jobs",
  "ffi",
  "tests/architecture_test.ts",
  "tests/tidy_test.ts",
  "tests/generated_test.ts",
];

const PHASES: readonly { readonly name: string; readonly args: readonly string[] }[] = [
  { name: "format", args: ["fmt", "--check", "--quiet"] },
  { name: "lint", args: ["lint", "--quiet"] },
  { name: "types", args: ["check", "--quiet", "."] },
  {
    name: "unit, architecture, tidy, generated",
    args: ["test", "--quiet", "--no-check", "-A", "--unstable-worker-options", ...QUICK_TESTS],
  },
];

const PROJECT = new URL("../", import.meta.url);

/** Runs the phases in order; false if one fails. */
async function runOk(): Promise<boolean> {
  for (const { name, args } of PHASES) {
    const startMs = performance.now();
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: PROJECT,
      stdout: "piped",
      stderr: "piped",
    }).output();
    console.log(`${success ? "ok    " : "FAILED"} ${name} (${((performance.now() - startMs) / 1_000).toFixed(1)} s)`);
    if (success) continue;
    await Deno.stdout.write(stdout);
    await Deno.stderr.write(stderr);
    return false;
  }
  return true;
}

if (import.meta.main) Deno.exit(await runOk() ? 0 : 1);
