/** Asks SQL questions one after the other at a terminal, with history and completion. */

import { createInterface, type Interface } from "node:readline";
import process from "node:process";
import { type Database, QueryError } from "./duckdb.ts";
import { sqlText } from "./sql_text.ts";

const HISTORY_MAX = 1_000;
const INTERRUPT_MS = 20;
const PROMPT = "lake> ";
const CONTINUED = "  ... ";

/**
 * Reads statements that end in a semicolon until the input does, or ".quit".
 *
 * @param print Answers a statement; its `QueryError`s are told, and the next is read.
 * @param historyPath File that keeps what was asked; made where there is none.
 */
export async function runShell(database: Database, historyPath: string, print: (sql: string) => Promise<void>): Promise<void> {
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: true,
    prompt: PROMPT,
    history: await readHistory(historyPath),
    historySize: HISTORY_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string, done: (error: Error | null, found: [string[], string]) => void) => {
      complete(database, line).then((found) => done(null, found), (error) => done(error, [[], line]));
    },
  });
  let history: string[] = [];
  lines.on("history", (all: string[]) => history = [...all]);
  console.log('SQL of DuckDB over the views flow, edge_1m, ...; end with ";", "show tables;" names them, ".quit" or Ctrl-D ends.');
  await readStatements(lines, database, print);
  if (history.length > 0) await writeHistory(historyPath, history);
}

/** Resolves when the input has ended and the last answer is printed. */
function readStatements(lines: Interface, database: Database, print: (sql: string) => Promise<void>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let statement = "", isClosed = false;
  /** The question that is being answered. */
  let asking: { readonly sql: string } | null = null;
  const prompt = () => {
    lines.setPrompt(statement === "" ? PROMPT : CONTINUED);
    lines.prompt();
  };
  lines.on("SIGINT", () => {
    const ended = asking;
    if (ended !== null) return interruptUntil(database, () => asking !== ended);
    statement = "";
    console.log();
    prompt();
  });
  lines.on("close", () => {
    isClosed = true;
    if (asking === null) resolve();
  });
  lines.on("line", async (line: string) => {
    if (asking !== null) return;
    if (statement === "" && line.trim() === ".quit") return lines.close();
    statement = `${statement}${line}\n`;
    if (!statement.trimEnd().endsWith(";")) {
      if (statement.trim() === "") statement = "";
      return prompt();
    }
    const sql = statement;
    statement = "";
    asking = { sql };
    try {
      await print(sql);
    } catch (error) {
      if (!(error instanceof QueryError)) return reject(error);
      console.error(error.message);
    } finally {
      asking = null;
    }
    if (isClosed) resolve();
    else prompt();
  });
  prompt();
  return promise;
}

/** An interrupt that comes before DuckDB has begun is lost, so there are as many as it takes. */
function interruptUntil(database: Database, hasEnded: () => boolean): void {
  const timer = setInterval(() => hasEnded() ? clearInterval(timer) : database.interrupt(), INTERRUPT_MS);
}

/** DuckDB's own suggestions, as readline takes them: words that go on with what stands there, and that. */
export async function complete(database: Database, line: string): Promise<[string[], string]> {
  const rows = await database.rows(`select suggestion, suggestion_start from sql_auto_complete(${sqlText(line)})`);
  const start = Number(rows[0]?.["suggestion_start"] ?? line.length), begun = line.slice(start);
  const goesOn = (word: string) => word.toLowerCase().startsWith(begun.toLowerCase());
  return [rows.map((row) => String(row["suggestion"])).filter(goesOn), begun];
}

/** The newest first, as readline has it; the file has the newest last. */
async function readHistory(path: string): Promise<string[]> {
  try {
    return (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "").reverse().slice(0, HISTORY_MAX);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function writeHistory(path: string, newestFirst: readonly string[]): Promise<void> {
  await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(path, newestFirst.toReversed().map((line) => `${line}\n`).join(""), { mode: 0o600 });
}
