/** `jobs run NAME` for every analysis: what its question may say, and how its answer is printed. */

import { Command, Option } from "@commander-js/extra-typings";
import { z } from "zod";
import type { Analysis, Parameter } from "../analytics/analysis.ts";
import { analyse, ANALYSES } from "../analytics.ts";
import { coverage } from "../coverage.ts";
import { ENGINES, onEngine } from "../engines/engine.ts";
import { formatGraph, GRAPH_FORMATS, type GraphFormat } from "../graph_formats.ts";
import { type Format, formatAnswer, FORMATS } from "../print.ts";
import { withProgress } from "../asking.ts";
import type { AsOf } from "../lake/time_travel.ts";
import { replaceFile } from "../output_file.ts";
import { confine, keptIn, withLake } from "../query.ts";
import { EVERYTHING, type Question } from "../question.ts";
import { TABLES } from "../lake/tables.ts";
import { isColoured, limitOption, time, wholeNumber } from "./options.ts";
import { asOfOption } from "./as_of.ts";

const DEPTH_MAX = 100;
const SPAN_MINUTES_MAX = 60 * 24 * 366;
const MINUTE_MS = 60_000;

/** Tables of edges. */
export const ROLLUPS = TABLES.map(({ name }) => name).filter((name) => name.startsWith("edge_"));

/** Of an analysis's own parameters; every analysis has the others. */
const OPTIONS: Readonly<Record<Parameter, () => readonly Option[]>> = {
  service: () => [new Option("--depth <steps>", "how many steps from the service").argParser(wholeNumber(DEPTH_MAX)).default(1)],
  span: () => [new Option("--span-minutes <minutes>", "length of the times compared").argParser(wholeNumber(SPAN_MINUTES_MAX)).default(60)],
  rollup: () => [new Option("--rollup <table>", "ask what the dependencies job has added up, not every flow").choices(ROLLUPS)],
  zones: () => [new Option("--zones <file>", "address ranges of security zones, YAML or CSV")],
  policy: () => [new Option("--policy <file>", "what may cross zones, YAML or CSV")],
  topology: () => [new Option("--topology <file>", "switches, links and what is attached where, YAML")],
};

/** What commander makes of the options that a command has. */
const Given = z.object({
  lake: z.string(),
  limit: z.number(),
  format: z.enum([...FORMATS, ...GRAPH_FORMATS]),
  engine: z.enum(ENGINES),
  output: z.string().nullable().default(null),
  asOf: z.custom<AsOf | null>().default(null),
  from: z.number().nullable().default(null),
  to: z.number().nullable().default(null),
  where: z.string().nullable().default(null),
  names: z.string().nullable().default(null),
  reverseDns: z.string().nullable().default(null),
  depth: z.number().default(EVERYTHING.depth),
  spanMinutes: z.number().nullable().default(null),
  rollup: z.string().nullable().default(null),
  zones: z.string().nullable().default(null),
  policy: z.string().nullable().default(null),
  topology: z.string().nullable().default(null),
});

/** The command of an analysis, to be added to `run`. */
function answerCommand(analysis: Analysis): Command {
  const command = new Command(analysis.name).description(analysis.description)
    .requiredOption("--lake <dir>", "folder of the lake");
  if (analysis.parameters.includes("service")) command.argument("<service>", "a service, as the dependency graph names it");
  for (const option of commonOptions(analysis)) command.addOption(option);
  for (const option of analysis.parameters.flatMap((parameter) => OPTIONS[parameter]())) command.addOption(option);
  return command.action(async (...values: readonly unknown[]) => {
    const service = analysis.parameters.includes("service") ? String(values[0]) : null;
    const given = Given.parse(command.opts());
    if (given.output === null) console.log(await answer(analysis, given, service));
    else await replaceFile(given.output, async () => `${await answer(analysis, given, service)}\n`);
  });
}

export function answerCommands(): Command[] {
  return ANALYSES.map(answerCommand);
}

function commonOptions(analysis: Analysis): Option[] {
  const compared = analysis.parameters.includes("span");
  return [
    new Option("--format <format>", "how the answer is printed").choices(analysis.isGraph ? [...FORMATS, ...GRAPH_FORMATS] : FORMATS)
      .default("table"),
    new Option("--output <file>", "put the answer into this file, in the place of an earlier one"),
    limitOption,
    asOfOption(),
    new Option("--engine <engine>", "what runs the SQL").choices(ENGINES).default("duckdb"),
    new Option("--from <time>", compared ? "where the earlier time begins" : "minutes from here on").argParser(time)
      .makeOptionMandatory(compared),
    new Option("--to <time>", compared ? "where the later time begins" : "minutes before this").argParser(time).makeOptionMandatory(
      compared,
    ),
    new Option("--where <sql>", 'rows that meet this alone, such as "server_port = 443"'),
    new Option("--names <file>", "address ranges and the services that they are, YAML or CSV"),
    new Option("--reverse-dns <file>", "ask DNS for what nothing else names; the file keeps what it says for a day"),
  ];
}

async function answer(analysis: Analysis, given: z.output<typeof Given>, service: string | null): Promise<string> {
  const { from, to, spanMinutes, names, reverseDns, rollup, zones, policy, topology, where, depth, format } = given;
  const spanMs = spanMinutes === null ? null : spanMinutes * MINUTE_MS;
  const question: Question = { fromMs: from, toMs: to, spanMs, names, reverseDns, zones, policy, topology, rollup, where, service, depth };
  return await withLake(given.lake, async (database, snapshot, snapshots) => {
    if (where !== null) await confine(database, given.lake);
    const found = await withProgress(
      database,
      () => onEngine(given.engine, database, given.lake, snapshots, (engine) => analyse(engine, analysis, question, keptIn(snapshots))),
    );
    console.error(await coverage(database, snapshot));
    const isMarked = given.output === null && isColoured();
    return isGraphFormat(format) ? formatGraph(found, format) : formatAnswer(found, format, given.limit, isMarked);
  }, given.asOf);
}

function isGraphFormat(format: Format | GraphFormat): format is GraphFormat {
  return GRAPH_FORMATS.some((name) => name === format);
}
