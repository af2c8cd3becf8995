/** `agent run`: observes until it is told to stop, and takes in its configuration file anew when it is told to. */

import { isUnreadable, parseConfigFile } from "../lib/config_file.ts";
import { describeError, log } from "../lib/log.ts";
import { parseKeys } from "../lib/sflow/authentication.ts";
import { type AgentConfig, CONFIG_FILE, type ConfigFile, resolveConfig } from "./config.ts";
import { describeHost } from "./host.ts";
import { chooseRung } from "./ladder.ts";
import { dropRights, refuseDebugger, standBack } from "./manners.ts";
import { serveMetrics } from "./metrics.ts";
import { Observer } from "./observe.ts";

/** Settings that only a restart changes. */
const AT_START = ["enterprise", "interop", "keyFile", "lanes", "metricsListen", "nice"] as const satisfies readonly (keyof AgentConfig)[];

/**
 * Reads the file, if there is one, puts the flags over it, and observes.
 *
 * @param forcedRung The only rung of the ladder to try, or null.
 * @throws {SyntaxError} If the configuration or the key is wrong, or no collector is named.
 */
export async function run(path: string | null, flags: ConfigFile, forcedRung: string | null): Promise<void> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, abort);
  refuseDebugger();
  const config = readConfig(path, flags);
  const key = config.keyFile === null ? null : parseKeys(Deno.readTextFileSync(config.keyFile))[0]!;
  standBack(config.nice);
  const { rung, verdicts, heard, ...choice } = chooseRung(forcedRung);
  using kernel = choice.kernel;
  using observer = new Observer(kernel, config, describeHost(), key);
  log("info", "agent", "attached", {
    rung: rung.name,
    rungs_not_taken: verdicts.flatMap((v) => v.reason === null ? [] : [`${v.rung}: ${v.reason}`]),
  });
  await using _metrics = serveMetrics(config.metricsListen, observer.accounts);
  // Without a file there is nothing to reload, and the end of a terminal ends the agent.
  if (path !== null) Deno.addSignalListener("SIGHUP", () => reload(observer, path, flags, config));
  Deno.addSignalListener("SIGUSR2", () => observer.askSelfTest());
  const ledger = await observer.run(stop.signal, heard, dropRights);
  log("info", "agent", "stopped", {
    ledger,
    missed_hook_runs: kernel.missedRuns(),
    hooks: kernel.hookCounts(),
    reconciliation: observer.accounts.reconciliation.totals(),
  });
}

function readConfig(path: string | null, flags: ConfigFile): AgentConfig {
  return resolveConfig(path === null ? {} : parseConfigFile(path, Deno.readTextFileSync(path), CONFIG_FILE), flags);
}

/** Puts the file's present settings into force; where it is wrong, that is logged and the old ones stay. */
function reload(observer: Observer, path: string, flags: ConfigFile, atStart: AgentConfig): void {
  try {
    const config = readConfig(path, flags);
    const ignored = AT_START.filter((key) => JSON.stringify(config[key]) !== JSON.stringify(atStart[key]));
    observer.configure(config);
    log("info", "agent", "configuration reloaded", { needs_restart: ignored });
  } catch (error) {
    if (!(error instanceof SyntaxError || isUnreadable(error))) throw error;
    log("error", "agent", "configuration refused", { error: describeError(error) });
  }
}
