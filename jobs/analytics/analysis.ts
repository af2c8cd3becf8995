/** What an answer that can be asked for by name is. */

import type { Engine } from "../portable_sql.ts";
import type { Question } from "../question.ts";

/** What a question of this analysis may say besides time, names and `where`. */
export type Parameter = "service" | "span" | "zones" | "policy" | "topology";

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
  /** Makes the views of what SQL does not find: files, and the steps on the graph. */
  readonly prepare?: (engine: Engine, question: Question) => Promise<void>;
}

/** The file of an analysis. */
export function sqlFile(name: string): URL {
  return new URL(`${name}.sql`, import.meta.url);
}
