/** Tests that need something of the host: skipped by name with the reason, or failed where everything is required. */

/** What is missing, or null. */
export type Missing = string | null;

/**
 * Registers a test that needs something. Where it is missing the test is skipped with the reason in its name; with
 * REQUIRE_ALL=1 it fails with the reason instead.
 */
export function testWith(missing: Missing, name: string, fn: (t: Deno.TestContext) => void | Promise<void>): void {
  const required = Deno.env.get("REQUIRE_ALL") === "1";
  Deno.test({
    name: missing === null || required ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== null && !required,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: (t) => {
      if (missing !== null) throw new Error(`Cannot run test: ${missing}`);
      return fn(t);
    },
  });
}

/** Whether a command is there. */
export async function missingCommand(name: string, ...args: string[]): Promise<Missing> {
  try {
    await new Deno.Command(name, { args, stdin: "null", stdout: "null", stderr: "null" }).output();
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `command "${name}" is not installed`;
    throw error;
  }
}

/** Whether this user may load kernel programs, which need type information but on some rungs. */
export async function missingKernel(): Promise<Missing> {
  if (Deno.uid() !== 0) return "not root";
  if (Deno.env.has("AGENT_RUNG")) return null; // tests/captured.ts
  try {
    await Deno.stat("/sys/kernel/btf/vmlinux");
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "the kernel has no BTF";
    throw error;
  }
}

/** The first of several reasons. */
export function firstMissing(...reasons: Missing[]): Missing {
  return reasons.find((reason) => reason !== null) ?? null;
}
