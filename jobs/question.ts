/** What a question is about, besides which: when, and with which files. */

export interface Question {
  /** Milliseconds since 1970 UTC; conversations of minutes from here on; null for all. */
  readonly fromMs: number | null;
  /** Until before this. */
  readonly toMs: number | null;
  /** File of configured names. */
  readonly names: string | null;
  /** File that keeps what DNS said; null where DNS is not asked. */
  readonly reverseDns: string | null;
}

export const EVERYTHING: Question = { fromMs: null, toMs: null, names: null, reverseDns: null };

/** A question that cannot be answered as it stands; the message says what would do. */
export class QuestionError extends Error {
  override readonly name = "QuestionError";
}
