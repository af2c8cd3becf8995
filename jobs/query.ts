/** Opens a lake for questions. */

import { Database } from "./duckdb.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { type Hour, keptHours } from "./lake/kept_hours.ts";
import { awaitVacuum, Lease } from "./lake/lease.ts";
import { assertTables } from "./lake/prepare.ts";
import { createTableView } from "./lake/table.ts";
import { CONVERSATION_1M, FLOW, TABLES } from "./lake/tables.ts";
import { type AsOf, assertWhole, versionsAsOf } from "./lake/time_travel.ts";
import { sqlText } from "./sql_text.ts";

const MEMORY_LIMIT = "4GB";

/** By table, the version that the views show. */
export type LakeSnapshots = ReadonlyMap<string, Snapshot>;

/**
 * Runs `ask` on a database with a view of every table of the lake, empty where there is no such table yet. What spills goes to a
 * folder that is removed at the end. Until then no vacuum deletes a file that the views read.
 *
 * @param ask Gets the snapshot of `flow`, and those of all tables.
 * @param asOf Which earlier state of the lake the views show; null for the newest.
 * @throws {LakeError} If the folder is no lake, a table cannot be read, or its earlier state is not there any more.
 */
export async function withLake<T>(
  lake: string,
  ask: (database: Database, snapshot: Snapshot, snapshots: LakeSnapshots) => Promise<T>,
  asOf: AsOf | null = null,
): Promise<T> {
  assertTables(lake);
  const temporaryDirectory = await Deno.makeTempDir({ prefix: "skyfall-" });
  try {
    using lease = await Lease.forReading(lake);
    using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory });
    const earlier = asOf === null ? null : await holdEarlier(database, lake, asOf, lease);
    const snapshots = new Map<string, Snapshot>();
    for (const definition of TABLES) {
      snapshots.set(definition.name, await createTableView(database, lake, definition, earlier?.get(definition.name)));
    }
    lease.hold(new Map([...snapshots].map(([name, { version }]) => [name, version])));
    return await ask(database, snapshots.get(FLOW.name)!, snapshots);
  } finally {
    await Deno.remove(temporaryDirectory, { recursive: true });
  }
}

/**
 * The version of each table as of then, once it is sure that all their files are there and stay.
 *
 * @throws {LakeError} If that is not known any more, or files were vacuumed.
 */
export async function holdEarlier(database: Database, lake: string, asOf: AsOf, lease: Lease): Promise<Map<string, bigint>> {
  const versions = await versionsAsOf(lake, asOf);
  lease.hold(versions);
  await awaitVacuum(lake);
  for (const definition of TABLES) await assertWhole(database, lake, definition, versions.get(definition.name)!);
  return versions;
}

/** Hours of `flow` whose conversations `conversation_1m` has. */
export function keptIn(snapshots: LakeSnapshots): Hour[] {
  return keptHours(snapshots.get(FLOW.name)!, snapshots.get(CONVERSATION_1M.name)!);
}

/** Takes from queries whatever could write, or read files outside the lake. Call it when the views are made. */
export async function confine(database: Database, lake: string): Promise<void> {
  await database.run(`set allowed_directories = [${sqlText(await Deno.realPath(lake))}]`);
  await database.run("set enable_external_access = false");
  await database.run("set lock_configuration = true");
}
