/** Which engine answers: DuckDB in this process, or Spark over the same versions of the same tables. */

import type { Database } from "../duckdb.ts";
import { TABLES } from "../lake/tables.ts";
import type { Engine } from "../portable_sql.ts";
import type { LakeSnapshots } from "../query.ts";
import { Spark } from "./spark.ts";

export const ENGINES = ["duckdb", "spark"] as const;
export type EngineName = typeof ENGINES[number];

/**
 * Runs `ask` on the engine.
 *
 * @throws {LakeError} If there is no Spark.
 */
export async function onEngine<T>(
  name: EngineName,
  database: Database,
  lake: string,
  snapshots: LakeSnapshots,
  ask: (engine: Engine) => Promise<T>,
): Promise<T> {
  if (name === "duckdb") return await ask(database);
  await using spark = await Spark.start();
  await spark.openLake(lake, TABLES.map((definition) => ({ definition, snapshot: snapshots.get(definition.name)! })));
  return await ask(spark);
}
