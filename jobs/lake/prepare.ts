/** Makes the folders of a lake, and tells one from any other folder. */

import { describeDisk } from "../../lib/durable_file.ts";
import { journalDirectory } from "./cut_journal.ts";
import { makeFolders, stagingDirectory } from "./data_file.ts";
import { hasLog, LakeError, logDirectory } from "./delta_log.ts";
import { removeOrphans } from "./orphans.ts";
import { tableDirectory } from "./table.ts";
import { TABLES } from "./tables.ts";

/** Folders of the lake itself: what spills, and what writers leave for their next run. */
const OWN_FOLDERS = ["_staging", "_locks", "_leases"];
/** What a file system brings by itself. */
const FOREIGN = new Set(["lost+found"]);

/**
 * Makes what is missing of a lake's folders.
 *
 * @throws {LakeError} If the folder holds other things and no table, or cannot be made.
 */
export async function prepareLake(lake: string): Promise<void> {
  try {
    await Deno.mkdir(lake, { recursive: true });
    assertLake(lake);
    for (const folder of OWN_FOLDERS) await makeFolders(lake, folder);
    await makeFolders(lake, journalDirectory(lake).slice(lake.length + 1));
    for (const table of TABLES) {
      const directory = tableDirectory(lake, table);
      await makeFolders(lake, table.name);
      for (const folder of [logDirectory(directory), stagingDirectory(directory)]) {
        await makeFolders(directory, folder.slice(directory.length + 1));
      }
    }
    await removeOrphans(lake, [lake, ...TABLES.map((table) => tableDirectory(lake, table))].map(stagingDirectory));
  } catch (cause) {
    if (cause instanceof LakeError) throw cause;
    throw new LakeError(`Cannot make lake "${lake}": ${describeDisk(cause)}`, { cause });
  }
}

/** @throws {LakeError} If no table is in the folder. */
export function assertTables(lake: string): void {
  if (TABLES.some((table) => hasLog(tableDirectory(lake, table)))) return;
  throw new LakeError(`Cannot read lake "${lake}": there is no table in it; make one with "jobs run etl --topic URL --lake ${lake}"`);
}

function assertLake(lake: string): void {
  const names = [...Deno.readDirSync(lake)].map(({ name }) => name).filter((name) => !name.startsWith(".") && !FOREIGN.has(name));
  const known = new Set([...TABLES.map(({ name }) => name), ...OWN_FOLDERS]);
  if (names.length === 0 || names.some((name) => known.has(name))) return;
  throw new LakeError(`Cannot make lake "${lake}": the folder holds "${names[0]}" and no table; name a folder that is empty, or a lake`);
}
