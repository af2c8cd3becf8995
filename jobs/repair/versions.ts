/**
 * Puts versions of the tables' logs right that are missing or damaged: with the commit itself where we remember it, else with an empty
 * one where that is accepted.
 */

import { syncDirectory } from "../../lib/durable_file.ts";
import { log } from "../../lib/log.ts";
import { parseAction, parseJson } from "../lake/actions.ts";
import { ENGINE } from "../lake/append.ts";
import { commitVersion, LakeError, listLog, logDirectory, readVersionIfPresent, versionFile } from "../lake/delta_log.ts";
import { commitPath } from "../lake/own_commits.ts";
import { type TableDefinition, tableDirectory } from "../lake/table.ts";
import { TABLES } from "../lake/tables.ts";
import { isAccepted } from "./loss.ts";

/** @throws {LakeError} If the disk fails or is full. */
export async function restoreVersions(lake: string, acceptedLosses: readonly string[]): Promise<void> {
  for (const definition of TABLES) {
    const directory = tableDirectory(lake, definition), { versions, checkpoints } = listLog(directory), newest = versions.at(-1) ?? -1n;
    for (let version = (checkpoints.at(-1)?.version ?? -1n) + 1n; version <= newest; version++) {
      if (!await isReadable(directory, version)) await restoreVersion(definition, directory, version, acceptedLosses);
    }
  }
}

async function isReadable(directory: string, version: bigint): Promise<boolean> {
  try {
    return await readVersionIfPresent(directory, version) !== null;
  } catch (error) {
    if (error instanceof LakeError) return false;
    throw error;
  }
}

async function restoreVersion(
  { name }: TableDefinition,
  directory: string,
  version: bigint,
  acceptedLosses: readonly string[],
): Promise<void> {
  const file = versionFile(version), path = `${logDirectory(directory)}/${file}`, copy = commitPath(directory, version);
  const isCopied = await isCommit(copy);
  if (!isCopied && !isAccepted(acceptedLosses, `${name}/_delta_log/${file}`)) return; // whoever opens the table says so
  await setAside(path);
  if (isCopied) {
    await Deno.link(copy, path);
    await syncDirectory(logDirectory(directory));
    return log("info", "jobs", "version put back from the copy of our commits", { table: name, file });
  }
  const commitInfo = { timestamp: Date.now(), operation: "ACCEPT MISSING VERSION", operationParameters: {}, engineInfo: ENGINE };
  if (await commitVersion(directory, version, [{ commitInfo }])) log("warn", "jobs", "missing version given up", { table: name, file });
}

async function isCommit(path: string): Promise<boolean> {
  try {
    const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
    for (const [i, line] of lines.entries()) parseAction(parseJson(line, path, i + 1), path, i + 1);
    return lines.length > 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof LakeError) return false;
    throw error;
  }
}

/** What is damaged keeps a name that no reader takes for a version's. */
async function setAside(path: string): Promise<void> {
  try {
    await Deno.rename(path, `${path}.damaged`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
