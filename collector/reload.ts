/** The collector's configuration file, at the start and on SIGHUP. */

import { isUnreadable, parseConfigFile } from "../lib/config_file.ts";
import { keysOf } from "../lib/keys.ts";
import { describeError, log, setLogLevel } from "../lib/log.ts";
import { type CollectorConfig, CONFIG_FILE, type ConfigFile, type ReloadedConfig, resolveConfig } from "./config.ts";

/** Settings that a running collector takes in. */
const RELOADED: Readonly<Record<keyof ReloadedConfig, true>> = { logLevel: true };

/**
 * Reads the file, if there is one, and puts the flags over it.
 *
 * @throws {SyntaxError} If the configuration is wrong, or lacks what has no default.
 */
export function readConfig(path: string | null, flags: ConfigFile): CollectorConfig {
  return resolveConfig(path === null ? {} : parseConfigFile(path, Deno.readTextFileSync(path), CONFIG_FILE), flags);
}

/** Puts what a running collector takes in into force. */
export function applyConfig({ logLevel }: ReloadedConfig): void {
  setLogLevel(logLevel);
}

/** Puts the file's present settings into force; where it is wrong, that is logged and the old ones stay. */
export function reloadConfig(path: string, flags: ConfigFile, atStart: CollectorConfig): void {
  try {
    const config = readConfig(path, flags);
    const ignored = keysOf(config).filter((name) => !(name in RELOADED) && JSON.stringify(config[name]) !== JSON.stringify(atStart[name]));
    applyConfig(config);
    log("info", "collector", "configuration reloaded", { needs_restart: ignored });
  } catch (error) {
    if (!(error instanceof SyntaxError || isUnreadable(error))) throw error;
    log("error", "collector", "configuration refused", { error: describeError(error) });
  }
}
