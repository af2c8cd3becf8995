/** `jobs audit`: what was looked at and what is wrong, for people; exits 1 where something is. */

import type { Command } from "@commander-js/extra-typings";
import { TOPIC_URL_FORMS } from "../../lib/topic/open.ts";
import { auditLake } from "../audit/audit.ts";
import { asOfOption } from "./as_of.ts";
import type { Check } from "../audit/finding.ts";
import { log } from "../../lib/log.ts";
import { assertTables } from "../lake/prepare.ts";
import { withFolderLock } from "../lock.ts";
import { formatAnswer } from "../print.ts";

const PROGRESS_MS = 500;

export function addAuditCommand(program: Command): void {
  program.command("audit")
    .description("prove that the lake holds each row of the topic once; says what is wrong and what puts it right")
    .requiredOption("--lake <dir>", "folder of the lake")
    .option("--topic <url>", `topic to read again, as long as it keeps its messages: ${TOPIC_URL_FORMS}`)
    .addOption(asOfOption())
    .action(async ({ lake, topic, asOf }) => {
      assertTables(lake);
      const checks = await withFolderLock(lake, () => auditLake(lake, topic ?? null, showProgress(), asOf));
      if (checks === null) return log("info", "jobs", "another run is at work", { lake });
      print(checks);
      if (checks.some(({ problems }) => problems.length > 0)) Deno.exit(1);
    });
}

/** One line that is written over on a terminal, nothing elsewhere. */
function showProgress(): (what: string, done: number, all: number) => void {
  let shownMs = 0;
  return (what, done, all) => {
    if (!Deno.stderr.isTerminal() || Date.now() - shownMs < PROGRESS_MS) return;
    shownMs = Date.now();
    Deno.stderr.writeSync(new TextEncoder().encode(`\r${what}: ${done} of ${all}\x1b[K`));
  };
}

function print(checks: readonly Check[]): void {
  const columns = ["check", "result", "examined"].map((name) => ({ name, isNumber: false }));
  const rows = checks.map(({ name, examined, problems, told = [] }) => ({
    check: name,
    result: problems.length > 0 ? `${problems.length} WRONG` : told.length > 0 ? `${told.length} told` : "ok",
    examined,
  }));
  console.log(formatAnswer({ columns, rows }, "table", rows.length));
  for (const { name, problems, told = [] } of checks) {
    for (const what of told) console.log(`${name}: ${what}`);
    for (const { where, what, repair } of problems) console.log(`${name}: ${where}: ${what}; ${repair}`);
  }
}
