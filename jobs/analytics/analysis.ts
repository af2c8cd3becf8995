/** What an answer that can be asked for by name is. */

import type { Engine } from "../portable_sql.ts";
import type { Question } from "../question.ts";

/** What a question of this analysis may say besides time, names and `where`. */
export type Parameter = "service" | "span" | "rollup" | "zones" | "policy" | "topology";

export interface Analysis {
  readonly name: string;
  readonly description: string;
  readonly file: URL;
  readonly parameters: readonly Parameter[];
  /** Whether its rows are edges, with client_service and server_service, that can be drawn. */
  readonly isGraph: boolean;
  /** Files under `views/` that its file reads, besides those of every analysis; made in order, after `prepare`. */
  readonly views?: readonly string[];
  /** Whether it reads history_flow: the flows of the 30 days before the time that is asked about. */
  readonly needsHistory?: boolean;
  /** How long before the time that is asked about named_conversation begins; asked_time then says where that time begins. */
  readonly baselineMs?: number;
  /** Whether it reads conversations once alone, or only what named_edge adds up of them; else those that are found in flows are kept. */
  readonly reads?: "conversations once" | "edges once" | "edges";
  /** Makes the views of what SQL does not find: files, and the steps on the graph. */
  readonly prepare?: (engine: Engine, question: Question) => Promise<void>;
}

/** The file of an analysis. */
export function sqlFile(name: string): URL {
  return new URL(`${name}.sql`, import.meta.url);
}

/** Makes a view of the file `views/FILE.sql`, under its own name or another. */
export async function createView(engine: Engine, file: string, view = file): Promise<void> {
  const sql = await Deno.readTextFile(new URL(`views/${file}.sql`, import.meta.url));
  await engine.run(`create or replace temporary view ${view} as ${sql}`);
}
