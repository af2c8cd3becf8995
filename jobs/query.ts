/** Opens a lake for questions. */

import { Database } from "./duckdb.ts";
import { LakeError, type Snapshot } from "./lake/delta_log.ts";
import { createTableView } from "./lake/table.ts";
import { FLOW, TABLES } from "./lake/tables.ts";
import { sqlText } from "./sql_text.ts";

const MEMORY_LIMIT = "4GB";

/** By table, the version that the views show. */
export type LakeSnapshots = ReadonlyMap<string, Snapshot>;

/**
 * Runs `ask` on a database with a view of every table of the lake, empty where there is no such table yet. What spills goes to a
 * folder that is removed at the end.
 *
 * @param ask Gets the snapshot of `flow`, and those of all tables.
 * @throws {LakeError} If the folder is no lake, or a table cannot be read.
 */
export async function withLake<T>(
  lake: string,
  ask: (database: Database, snapshot: Snapshot, snapshots: LakeSnapshots) => Promise<T>,
): Promise<T> {
  const temporaryDirectory = await Deno.makeTempDir({ prefix: "skyfall-" });
  try {
    using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory });
    const snapshots = new Map<string, Snapshot>();
    for (const definition of TABLES) snapshots.set(definition.name, await createTableView(database, lake, definition));
    if ([...snapshots.values()].every(({ version }) => version < 0n)) {
      throw new LakeError(`Cannot read lake "${lake}": there is no table in it; make one with "jobs run etl --topic URL --lake ${lake}"`);
    }
    return await ask(database, snapshots.get(FLOW.name)!, snapshots);
  } finally {
    await Deno.remove(temporaryDirectory, { recursive: true });
  }
}

/** Takes from queries whatever could write, or read files outside the lake. Call it when the views are made. */
export async function confine(database: Database, lake: string): Promise<void> {
  await database.run(`set allowed_directories = [${sqlText(await Deno.realPath(lake))}]`);
  await database.run("set enable_external_access = false");
  await database.run("set lock_configuration = true");
}
