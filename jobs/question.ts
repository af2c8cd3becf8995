/** What a question is about, besides which: when, who, and with which files. */

import { type Engine, textLiteral, timeText } from "./portable_sql.ts";

export interface Question {
  /** Milliseconds since 1970 UTC; conversations of minutes from here on; null for all. */
  readonly fromMs: number | null;
  /** Until before this. Where `spanMs` is not null, two times are compared instead: from `fromMs` and from `toMs` on, so long. */
  readonly toMs: number | null;
  readonly spanMs: number | null;
  /** File of configured names. */
  readonly names: string | null;
  /** File that keeps what DNS said; null where DNS is not asked. */
  readonly reverseDns: string | null;
  /** File of security zones, and of what may cross them. */
  readonly zones: string | null;
  readonly policy: string | null;
  /** File of switches and links. */
  readonly topology: string | null;
  readonly service: string | null;
  /** Steps from the service. */
  readonly depth: number;
  /** Table of edges that is asked instead of every flow; null for every flow. */
  readonly rollup: string | null;
  /** SQL that a row of the answer must meet. */
  readonly where: string | null;
}

export const EVERYTHING: Question = {
  fromMs: null,
  toMs: null,
  spanMs: null,
  names: null,
  reverseDns: null,
  zones: null,
  policy: null,
  topology: null,
  service: null,
  depth: 1,
  rollup: null,
  where: null,
};

/** A question that cannot be answered as it stands; the message says what would do. */
export class QuestionError extends Error {
  override readonly name = "QuestionError";
}

/** Names that are offered for one that is not known. */
const NEAREST = 3;

/** @throws {QuestionError} If no conversation has such a service; it offers the nearest names. */
export async function assertService(engine: Engine, service: string): Promise<void> {
  const name = textLiteral(service);
  const { rows } = await engine.table(`
    with services as (
      select client_service as service from named_edge union select server_service as service from named_edge
    )
    select service from services
    order by case when service = ${name} then 0 else 1 end, levenshtein(lower(service), lower(${name})), service
    limit ${NEAREST}`);
  if (rows[0]?.["service"] === service) return;
  const nearest = rows.map((row) => `"${row["service"]}"`).join(", ");
  throw new QuestionError(`Cannot find service "${service}": ${nearest === "" ? "there is none at all" : `the nearest are ${nearest}`}`);
}

/** @throws {QuestionError} If a time is asked about of which the lake has nothing, or one that ends before it begins. */
export async function assertPeriod(engine: Engine, { fromMs, toMs, spanMs, rollup }: Question): Promise<void> {
  if (fromMs === null && toMs === null) return;
  if (spanMs === null && fromMs !== null && toMs !== null && fromMs >= toMs) {
    throw new QuestionError(`Cannot answer about ${timeText(fromMs)} to ${timeText(toMs)}: it ends before it begins`);
  }
  const [asked] =
    (await engine.table(`select count(*) as flows from (select 1 from ${rollup === null ? "asked_flow" : "asked_edge"} limit 1) first_row`))
      .rows;
  if (Number(asked?.["flows"]) > 0) return;
  const [kept] = (await engine.table(
    `select cast(min(window_start) as string) as first, cast(max(window_start) as string) as last from ${rollup ?? "flow"}`,
  )).rows;
  const time = [fromMs === null ? "" : ` from ${timeText(fromMs)}`, toMs === null ? "" : ` to ${timeText(toMs)}`].join("");
  throw new QuestionError(
    `Cannot answer about the time${time}: the lake has no ${rollup === null ? "flow" : "edge"} of it, ${
      kept?.["first"] == null ? "nor any other" : `only from ${kept["first"]} to ${kept["last"]}`
    }`,
  );
}
