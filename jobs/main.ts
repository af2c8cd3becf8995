/** The jobs: move the topic into the lake, and ask the lake. */

import { Command } from "@commander-js/extra-typings";
import { describeError, log } from "../lib/log.ts";
import { ANALYSES } from "./analytics.ts";
import { answerCommands } from "./commands/answers.ts";
import { addAuditCommand } from "./commands/audit.ts";
import { addDependenciesCommand, DEPENDENCIES_DESCRIPTION } from "./commands/dependencies.ts";
import { addEtlCommand, ETL_DESCRIPTION } from "./commands/etl.ts";
import { addCompactCommand, addVacuumCommand, COMPACT_DESCRIPTION } from "./commands/keep.ts";
import { addRepairCommand } from "./commands/repair.ts";
import { addReportCommand } from "./commands/report.ts";
import { addScheduleCommand } from "./commands/schedule.ts";
import { sqlArguments, sqlCommand } from "./commands/sql.ts";
import { QueryError } from "./duckdb.ts";
import { QuestionError } from "./question.ts";

const program = new Command("jobs").description("Keeps the lake of flows and answers questions from it.").exitOverride();

const run = program.command("run").description("run a job by its name; see the list");

addEtlCommand(run);
addDependenciesCommand(run);
addCompactCommand(run);
addVacuumCommand(program);

for (const command of answerCommands()) run.addCommand(command.exitOverride());

run.command("list").description("print the jobs").action(list);
program.command("list").description("print the jobs").action(list);

program.addCommand(sqlCommand().exitOverride());

addReportCommand(program);
addScheduleCommand(program);
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

try {
  await program.parseAsync(Deno.args[0] === "sql" ? sqlArguments(Deno.args) : Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  const isMisuse = (error instanceof QueryError && !error.isSystemFailure) || error instanceof QuestionError ||
    error instanceof SyntaxError;
  log("error", "jobs", "failed", { error: isMisuse ? error.message : describeError(error) });
  Deno.exit(isMisuse ? 2 : 1);
}
Deno.exit(0);
