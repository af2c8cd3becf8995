/** Opens a lake for questions. */

import { Database } from "./duckdb.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { createFlowView, sqlText } from "./lake/flow_table.ts";

const MEMORY_LIMIT = "4GB";

/** Runs `ask` on a database with the view `flow`. What spills goes to a folder that is removed at the end. */
export async function withLake<T>(lake: string, ask: (database: Database, snapshot: Snapshot) => Promise<T>): Promise<T> {
  const temporaryDirectory = await Deno.makeTempDir({ prefix: "skyfall-" });
  try {
    using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory });
    const snapshot = await createFlowView(database, lake);
    return await ask(database, snapshot);
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
