/** `jobs sql`: questions in SQL, one from the command line or standard input, or many at a terminal. */

import { Command, Option } from "@commander-js/extra-typings";
import { z } from "zod";
import { coverage } from "../coverage.ts";
import type { AsOf } from "../lake/time_travel.ts";
import { formatAnswer, FORMATS } from "../print.ts";
import { withProgress } from "../asking.ts";
import { confine, withLake } from "../query.ts";
import { QuestionError } from "../question.ts";
import { runShell } from "../shell.ts";
import { asOfOption } from "./as_of.ts";
import { formatOption, isColoured, limitOption, wholeNumber } from "./options.ts";

const TIMEOUT_SECONDS = 300;
const TIMEOUT_SECONDS_MAX = 86_400;

const Given = z.object({
  lake: z.string(),
  limit: z.number(),
  format: z.enum(FORMATS),
  timeoutSeconds: z.number(),
  asOf: z.custom<AsOf | null>().default(null),
});

/** The command `sql`. */
export function sqlCommand(): Command {
  const command = new Command("sql")
    .description("ask in DuckDB's SQL: the views flow, edge_1m and others hold the tables, docs/reference/columns.md their columns")
    .requiredOption("--lake <dir>", "folder of the lake");
  command.argument("[query]", "one question; without it they are asked at the terminal, or one read from standard input");
  command.addOption(formatOption).addOption(limitOption).addOption(asOfOption());
  command.addOption(
    new Option("--timeout-seconds <seconds>", "how long a question may take").argParser(wholeNumber(TIMEOUT_SECONDS_MAX))
      .default(TIMEOUT_SECONDS),
  );
  return command.action(async (...values: readonly unknown[]) => {
    await sql(typeof values[0] === "string" ? values[0] : null, Given.parse(command.opts()));
  });
}

/** What is no option though it begins with two dashes: a query whose first line is a comment of SQL. */
const COMMENTED = /^--(?!$|[a-z][a-z-]*(=|$))/;

/** Arguments of `jobs sql` such that a query which begins with a comment is taken for no option. */
export function sqlArguments(args: readonly string[]): string[] {
  const isValue = (i: number) => /^--[a-z-]+$/.test(args[i - 1] ?? "");
  return args.map((arg, i) => COMMENTED.test(arg) && !isValue(i) ? `\n${arg}` : arg);
}

async function sql(query: string | null, { lake, limit, format, timeoutSeconds, asOf }: z.output<typeof Given>): Promise<void> {
  await withLake(lake, async (database, snapshot) => {
    const covered = await coverage(database, snapshot);
    await confine(database, lake);
    const print = async (text: string) => {
      const answer = await withProgress(database, () => database.ask(text, timeoutSeconds * 1_000));
      console.log(formatAnswer(answer, format, limit, isColoured()));
    };
    if (query === null && Deno.stdin.isTerminal()) {
      console.error(covered);
      return await runShell(database, historyPath(), print);
    }
    await print(query ?? await readInput());
    console.error(covered);
  }, asOf);
}

async function readInput(): Promise<string> {
  const text = await new Response(Deno.stdin.readable).text();
  if (text.trim() === "") throw new QuestionError("Cannot ask: no SQL was given, needed a query or standard input");
  return text;
}

function historyPath(): string {
  const state = Deno.env.get("XDG_STATE_HOME") ?? `${Deno.env.get("HOME") ?? "."}/.local/state`;
  return `${state}/skyfall/sql_history`;
}
