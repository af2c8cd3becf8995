/** The jobs: move the topic into the lake, and ask the lake. */

import { Command } from "@commander-js/extra-typings";
import { describeError, log } from "../lib/log.ts";
import { TOPIC_URL_FORMS } from "../lib/topic/open.ts";
import { ANALYSES } from "./analytics.ts";
import { answerCommands } from "./commands/answers.ts";
import { sqlCommand } from "./commands/sql.ts";
import { QueryError } from "./duckdb.ts";
import { runEtl } from "./etl.ts";
import { withLake } from "./query.ts";
import { QuestionError } from "./question.ts";
import { makeReport } from "./report.ts";

const ETL_DESCRIPTION = "move everything new in a topic into the lake, each row exactly once";

const program = new Command("jobs").description("Keeps the lake of flows and answers questions from it.").exitOverride();

const run = program.command("run").description("run a job by its name; see the list");

run.command("etl")
  .description(ETL_DESCRIPTION)
  .requiredOption("--topic <url>", TOPIC_URL_FORMS)
  .requiredOption("--lake <dir>", "folder of the lake; made where there is none")
  .action(async ({ topic, lake }) => {
    const result = await runEtl(topic, lake);
    if (result.version === null) log("info", "jobs", "another run is at work", { lake });
    else {log("info", "jobs", "etl done", {
        rows: result.rows,
        commits: result.commits,
        dead_letters: result.deadLetters,
        version: String(result.version),
      });}
  });

for (const command of answerCommands()) run.addCommand(command.exitOverride());

run.command("list").description("print the jobs").action(list);
program.command("list").description("print the jobs").action(list);

program.addCommand(sqlCommand().exitOverride());

program.command("report")
  .description("write the dependency graph as one HTML file that opens without a network")
  .requiredOption("--lake <dir>", "folder of the lake")
  .requiredOption("--output <file>", "where the report goes")
  .action(async ({ lake, output }) => {
    await Deno.writeTextFile(output, await withLake(lake, makeReport));
    console.log(output);
  });

function list(): void {
  const jobs = [{ name: "etl", description: ETL_DESCRIPTION }, ...ANALYSES];
  for (const { name, description } of jobs) console.log(`${name.padEnd(20)}${description}`);
}

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  const isMisuse = error instanceof QueryError || error instanceof QuestionError || error instanceof SyntaxError;
  log("error", "jobs", "failed", { error: isMisuse ? error.message : describeError(error) });
  Deno.exit(isMisuse ? 2 : 1);
}
Deno.exit(0);
