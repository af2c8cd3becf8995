/** The agent: `run` observes and reports, `check` proves that this host can be observed. */

import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { LibbpfError } from "../ffi/libbpf.ts";
import { MissingLibraryError } from "../ffi/system_library.ts";
import { type HostPort, parseHostPort } from "../lib/ip_address.ts";
import { describeError, log } from "../lib/log.ts";
import { check } from "./check.ts";
import { type AgentConfig, DEFAULT_CONFIG, parseServiceRules } from "./config.ts";
import { describeHost } from "./host.ts";
import { KernelPrograms } from "./kernel.ts";
import { chooseRung, NoRungError, RUNGS } from "./ladder.ts";
import { Observer } from "./observe.ts";

const ENTERPRISE_MAX = 2 ** 20 - 1;
const INTERIM_INTERVAL_MS_MAX = 3_600_000;

const program = new Command("agent").description(
  "Observes the TCP conversations of this host from inside the kernel and reports them as sFlow.",
)
  .exitOverride();

program.command("run")
  .description("observe until stopped")
  .requiredOption("--collector <host:port>", "where the sFlow datagrams go", hostPort)
  .option("--config <file>", "rules that name services, JSON")
  .option("--enterprise <number>", "private enterprise number of our records", integer(ENTERPRISE_MAX), DEFAULT_CONFIG.enterprise)
  .option(
    "--interim-interval-ms <ms>",
    "how often open conversations are reported",
    integer(INTERIM_INTERVAL_MS_MAX),
    DEFAULT_CONFIG.interimIntervalMs,
  )
  .addOption(rungOption())
  .option("--interop", "restate every flow in standard sFlow structures", DEFAULT_CONFIG.interop)
  .action(async ({ collector, config, enterprise, interimIntervalMs, interop, rung }) => {
    const serviceRules = config === undefined ? DEFAULT_CONFIG.serviceRules : parseServiceRules(config, await Deno.readTextFile(config));
    await run({ collector, enterprise, interop, interimIntervalMs, serviceRules }, rung ?? null);
  });

program.command("check")
  .description("load, attach, observe a conversation of known bytes, and compare every field with the kernel's own account")
  .option("--explain", "say of every rung why it was taken or not")
  .addOption(rungOption())
  .action(check);

async function run(config: AgentConfig, forcedRung: string | null): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  const { rung, verdicts } = chooseRung(forcedRung);
  using kernel = new KernelPrograms(rung.programs());
  using observer = new Observer(kernel, config, describeHost());
  log("info", "agent", "attached", {
    rung: rung.name,
    rungs_not_taken: verdicts.flatMap((v) => v.reason === null ? [] : [`${v.rung}: ${v.reason}`]),
  });
  const ledger = await observer.run(stop.signal);
  log("info", "agent", "stopped", { ledger, missed_hook_runs: kernel.missedRuns(), hooks: kernel.hookCounts() });
}

function rungOption(): Option<"--rung <name>", undefined, undefined, undefined, false, string> {
  return new Option("--rung <name>", "the only way to observe that is tried").choices(RUNGS.map(({ name }) => name));
}

function hostPort(text: string): HostPort {
  try {
    return parseHostPort(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function integer(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > max) throw new InvalidArgumentError(`Needed a whole number of 1 to ${max}.`);
    return value;
  };
}

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  const refusal = error instanceof NoRungError ? error.cause : error;
  log("error", "agent", "failed", {
    error: error instanceof NoRungError ? error.message : describeError(error),
    ...(refusal instanceof LibbpfError ? { kernel_log: refusal.log.split("\n") } : {}),
  });
  Deno.exit(error instanceof SyntaxError && !(error instanceof MissingLibraryError) ? 2 : 1);
}
Deno.exit(0);
