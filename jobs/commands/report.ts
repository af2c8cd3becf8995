/** `jobs report`: the answers as one HTML file. */

import { type Command, Option } from "@commander-js/extra-typings";
import { withProgress } from "../asking.ts";
import { replaceFile } from "../output_file.ts";
import { withLake } from "../query.ts";
import { EVERYTHING } from "../question.ts";
import { makeReport } from "../report.ts";
import { ROLLUPS } from "./answers.ts";
import { asOfOption } from "./as_of.ts";
import { time } from "./options.ts";

export function addReportCommand(program: Command): void {
  program.command("report")
    .description("write a map, a matrix, plots and tables of the services as one HTML file that opens without a network")
    .requiredOption("--lake <dir>", "folder of the lake")
    .requiredOption("--output <file>", "where the report goes")
    .addOption(asOfOption())
    .addOption(new Option("--from <time>", "minutes from here on").argParser(time))
    .addOption(new Option("--to <time>", "minutes before this").argParser(time))
    .option("--names <file>", "address ranges and the services that they are, YAML or CSV")
    .option("--zones <file>", "address ranges of security zones: groups of the map, and a table of crossings")
    .option("--policy <file>", "what may cross zones")
    .option("--topology <file>", "switches and links: how full they are, and what their failure would overload")
    .addOption(new Option("--rollup <table>", "ask what the dependencies job has added up, not every flow").choices(ROLLUPS))
    .action(
      async ({ lake, output, asOf, from = null, to = null, names = null, zones = null, policy = null, topology = null, rollup = null }) => {
        const question = { ...EVERYTHING, fromMs: from, toMs: to, names, zones, policy, topology, rollup };
        await replaceFile(
          output,
          () =>
            withLake(
              lake,
              (database, _snapshot, snapshots) => withProgress(database, () => makeReport(database, snapshots, question)),
              asOf,
            ),
        );
        console.log(output);
      },
    );
}
