/** How long a question takes: one line that is written over on a terminal, and nothing where there is none. */

import type { Database } from "./duckdb.ts";

const FIRST_MS = 1_000;
const EACH_MS = 250;

/** Runs `ask`, and tells on stderr, if that is a terminal, how long it has taken and how much is done. */
export async function withProgress<T>(database: Database, ask: () => Promise<T>): Promise<T> {
  if (!Deno.stderr.isTerminal()) return await ask();
  const startMs = performance.now();
  let isShown = false;
  const encoder = new TextEncoder();
  const write = (text: string) => void Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));
  const timer = setInterval(() => {
    const ms = performance.now() - startMs;
    if (ms < FIRST_MS) return;
    isShown = true;
    const percent = database.progressPercent();
    write(`asking the lake, ${Math.round(ms / 1_000)} s${percent === null ? "" : `, ${Math.round(percent)} %`}`);
  }, EACH_MS);
  try {
    return await ask();
  } finally {
    clearInterval(timer);
    if (isShown) write("");
  }
}
