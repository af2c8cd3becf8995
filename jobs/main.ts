/** The jobs: move the topic into the lake, and ask the lake. */

import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { describeError, log } from "../lib/log.ts";
import { analyse, ANALYSES } from "./analytics.ts";
import { addAuditCommand } from "./commands/audit.ts";
import { asOfOption } from "./commands/as_of.ts";
import { addDependenciesCommand, DEPENDENCIES_DESCRIPTION } from "./commands/dependencies.ts";
import { addEtlCommand, ETL_DESCRIPTION } from "./commands/etl.ts";
import { addCompactCommand, addVacuumCommand, COMPACT_DESCRIPTION } from "./commands/keep.ts";
import { coverage } from "./coverage.ts";
import { addRepairCommand } from "./commands/repair.ts";
import { QueryError } from "./duckdb.ts";
import { formatAnswer, FORMATS } from "./print.ts";
import { confine, withLake } from "./query.ts";
import { makeReport } from "./report.ts";

const DEFAULT_LIMIT = 50;
const LIMIT_MAX = 1_000_000;

const program = new Command("jobs").description("Keeps the lake of flows and answers questions from it.").exitOverride();

const format = new Option("--format <format>", "how the answer is printed").choices(FORMATS).default("table" as const);
const limit = new Option("--limit <rows>", "rows of a table").argParser(rows).default(DEFAULT_LIMIT);

const run = program.command("run").description("run a job by its name; see the list");

addEtlCommand(run);
addDependenciesCommand(run);
addCompactCommand(run);
addVacuumCommand(program);

for (const analysis of ANALYSES) {
  run.command(analysis.name)
    .description(analysis.description)
    .requiredOption("--lake <dir>", "folder of the lake")
    .addOption(format)
    .addOption(limit)
    .addOption(asOfOption())
    .action(async ({ lake, format, limit, asOf }) => {
      await withLake(lake, async (database, snapshot) => {
        console.log(formatAnswer(await analyse(database, analysis), format, limit));
        console.error(await coverage(database, snapshot));
      }, asOf);
    });
}

run.command("list").description("print the jobs").action(list);
program.command("list").description("print the jobs").action(list);

program.command("sql <query>")
  .description("ask in DuckDB's SQL; the view flow holds the table, docs/reference/columns.md its columns")
  .requiredOption("--lake <dir>", "folder of the lake")
  .addOption(format)
  .addOption(limit)
  .addOption(asOfOption())
  .action(async (query, { lake, format, limit, asOf }) => {
    await withLake(lake, async (database, snapshot) => {
      const covered = await coverage(database, snapshot);
      await confine(database, lake);
      console.log(formatAnswer(await database.table(query), format, limit));
      console.error(covered);
    }, asOf);
  });

program.command("report")
  .description("write the dependency graph as one HTML file that opens without a network")
  .requiredOption("--lake <dir>", "folder of the lake")
  .requiredOption("--output <file>", "where the report goes")
  .addOption(asOfOption())
  .action(async ({ lake, output, asOf }) => {
    await Deno.writeTextFile(output, await withLake(lake, makeReport, asOf));
    console.log(output);
  });

addAuditCommand(program);
addRepairCommand(program);

function list(): void {
  const jobs = [
    { name: "etl", description: ETL_DESCRIPTION },
    { name: "dependencies", description: DEPENDENCIES_DESCRIPTION },
    { name: "compact", description: COMPACT_DESCRIPTION },
    ...ANALYSES,
  ];
  for (const { name, description } of jobs) console.log(`${name.padEnd(20)}${description}`);
}

function rows(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > LIMIT_MAX) throw new InvalidArgumentError(`Needed a whole number of 1 to ${LIMIT_MAX}.`);
  return value;
}

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  log("error", "jobs", "failed", { error: describeError(error) });
  Deno.exit(error instanceof QueryError ? 2 : 1);
}
Deno.exit(0);
