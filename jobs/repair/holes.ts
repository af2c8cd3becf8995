/** Fills holes of the tables' logs: with the commit itself where we remember it, else with an empty one where that is accepted. */

import { log } from "../../lib/log.ts";
import { syncDirectory } from "../../lib/durable_file.ts";
import { ENGINE } from "../lake/append.ts";
import { commitVersion, listLog, logDirectory, versionFile } from "../lake/delta_log.ts";
import { commitPath } from "../lake/own_commits.ts";
import { type TableDefinition, tableDirectory } from "../lake/table.ts";
import { TABLES } from "../lake/tables.ts";
import { isAccepted } from "./loss.ts";

/** @throws {LakeError} If the disk fails or is full. */
export async function fillHoles(lake: string, acceptedLosses: readonly string[]): Promise<void> {
  for (const definition of TABLES) {
    const directory = tableDirectory(lake, definition);
    for (const version of holesOf(directory)) await fill(definition, directory, version, acceptedLosses);
  }
}

function holesOf(directory: string): bigint[] {
  const { versions, checkpoints } = listLog(directory), present = new Set(versions), newest = versions.at(-1), holes: bigint[] = [];
  if (newest === undefined) return holes;
  for (let version = (checkpoints.at(-1)?.version ?? -1n) + 1n; version < newest; version++) if (!present.has(version)) holes.push(version);
  return holes;
}

async function fill({ name }: TableDefinition, directory: string, version: bigint, acceptedLosses: readonly string[]): Promise<void> {
  const file = versionFile(version), folder = logDirectory(directory);
  try {
    await Deno.link(commitPath(directory, version), `${folder}/${file}`);
    await syncDirectory(folder);
    return log("info", "jobs", "version put back from the copy of our commits", { table: name, file });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (!isAccepted(acceptedLosses, `${name}/_delta_log/${file}`)) return; // whoever opens the table says so
  const commitInfo = { timestamp: Date.now(), operation: "ACCEPT MISSING VERSION", operationParameters: {}, engineInfo: ENGINE };
  if (await commitVersion(directory, version, [{ commitInfo }])) log("warn", "jobs", "missing version given up", { table: name, file });
}
