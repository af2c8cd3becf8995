/** The agent: `run` observes and reports, `check` proves that this host can be observed. */

import { Command, Option } from "@commander-js/extra-typings";
import { LibbpfError } from "../ffi/libbpf.ts";
import { MissingLibraryError } from "../ffi/system_library.ts";
import { readFlag } from "../lib/command_flag.ts";
import { describeError, log } from "../lib/log.ts";
import { check } from "./check.ts";
import { CONFIG_KEYS } from "./config.ts";
import { NoRungError, RUNGS } from "./ladder.ts";
import { run } from "./run.ts";

const program = new Command("agent").description(
  "Observes the TCP and UDP conversations of this host from inside the kernel and reports them as sFlow.",
)
  .exitOverride();

program.command("run")
  .description("observe until stopped; SIGHUP reads the configuration file again")
  .option("--config <file>", "settings and rules, YAML or JSON; the other options come before it")
  .option("--collector <host:port>", "where the sFlow datagrams go", (text) => readFlag(CONFIG_KEYS.collector, text))
  .option(
    "--key-file <file>",
    "file with the key that datagrams are signed with",
    (text) => readFlag(CONFIG_KEYS.key_file, text),
  )
  .option("--enterprise <number>", "private enterprise number of our records", (text) => readFlag(CONFIG_KEYS.enterprise, Number(text)))
  .option(
    "--interim-interval-ms <ms>",
    "how often open conversations are reported",
    (text) => readFlag(CONFIG_KEYS.interim_interval_ms, Number(text)),
  )
  .addOption(rungOption())
  .option("--interop", "restate every flow in standard sFlow structures")
  .option(
    "--cpu-limit-percent <percent>",
    "processor time that the agent may take, of one core",
    (text) => readFlag(CONFIG_KEYS.cpu_limit_percent, Number(text)),
  )
  .option(
    "--metrics-listen <host:port>",
    "where Prometheus finds the metrics, on loopback, or off",
    (text) => readFlag(CONFIG_KEYS.metrics_listen, text),
  )
  .action(async ({ config, collector, keyFile, enterprise, interimIntervalMs, interop, cpuLimitPercent, metricsListen, rung }) => {
    await run(config ?? null, {
      ...(collector === undefined ? {} : { collector }),
      ...(keyFile === undefined ? {} : { key_file: keyFile }),
      ...(enterprise === undefined ? {} : { enterprise }),
      ...(interimIntervalMs === undefined ? {} : { interim_interval_ms: interimIntervalMs }),
      ...(interop === undefined ? {} : { interop }),
      ...(cpuLimitPercent === undefined ? {} : { cpu_limit_percent: cpuLimitPercent }),
      ...(metricsListen === undefined ? {} : { metrics_listen: metricsListen }),
    }, rung ?? null);
  });

program.command("check")
  .description("load, attach, observe a conversation of known bytes, and compare every field with the kernel's own account")
  .option("--explain", "say of every rung why it was taken or not")
  .addOption(rungOption())
  .action(check);

function rungOption(): Option<"--rung <name>", undefined, undefined, undefined, false, string> {
  return new Option("--rung <name>", "the only way to observe that is tried").choices(RUNGS.map(({ name }) => name));
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
