/** The collector's configuration file, at the start and on SIGHUP. */

import { isUnreadable, parseConfigFile } from "../lib/config_file.ts";
import { keysOf } from "../lib/keys.ts";
import { describeError, log, setLogLevel } from "../lib/log.ts";
import { parseKeys } from "../lib/sflow/authentication.ts";
import { type CollectorConfig, CONFIG_FILE, type ConfigFile, type ReloadedConfig, resolveConfig } from "./config.ts";

/** Settings that a running collector takes in. */
const RELOADED: Readonly<Record<keyof ReloadedConfig, true>> = { logLevel: true, allowed: true, sourceLimit: true, keysText: true };

/**
 * Reads the file, if there is one, and puts the flags over it.
 *
 * @throws {SyntaxError} If the configuration is wrong, or lacks what has no default.
 */
export function readConfig(path: string | null, flags: ConfigFile, takeOver: boolean): CollectorConfig {
  return resolveConfig(path === null ? {} : parseConfigFile(path, Deno.readTextFileSync(path), CONFIG_FILE), flags, takeOver, readKeys);
}

function readKeys(path: string): string {
  const text = Deno.readTextFileSync(path);
  parseKeys(text); // refused here, before anything is bound
  return text;
}

/**
 * Puts the file's present settings into force; where it is wrong, that is logged and the old ones stay.
 *
 * @param admit Puts the settings of who may send into force.
 */
export async function reloadConfig(
  path: string,
  flags: ConfigFile,
  atStart: CollectorConfig,
  admit: (config: ReloadedConfig) => Promise<void>,
): Promise<void> {
  try {
    const config = readConfig(path, flags, atStart.takeOver);
    const ignored = keysOf(config).filter((name) => !(name in RELOADED) && JSON.stringify(config[name]) !== JSON.stringify(atStart[name]));
    setLogLevel(config.logLevel);
    await admit(config);
    log("info", "collector", "configuration reloaded", { needs_restart: ignored });
  } catch (error) {
    if (!(error instanceof SyntaxError || isUnreadable(error))) throw error;
    log("error", "collector", "configuration refused", { error: describeError(error) });
  }
}
