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
  /** Makes the views that its file reads besides named_conversation. */
  readonly prepare?: (engine: Engine, question: Question) => Promise<void>;
}

/** The file of an analysis. */
export function sqlFile(name: string): URL {
  return new URL(`${name}.sql`, import.meta.url);
}
