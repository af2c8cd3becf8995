/** `jobs schedule`: prints what runs the jobs of a lake from time to time, or installs it. */

import { type Command, Option } from "@commander-js/extra-typings";
import { TOPIC_URL_FORMS } from "../../lib/topic/open.ts";
import { parseKeepDays } from "../compact/retention.ts";
import { cronLines, installUnits, type Schedule, SCHEDULED_ANSWERS, systemdUnits, type Units } from "../schedule.ts";
import { checked } from "./checked.ts";

const SYSTEM_UNITS = "/etc/systemd/system";
const DENO_JSON = new URL("../../deno.json", import.meta.url);

export function addScheduleCommand(program: Command): void {
  program.command("schedule")
    .description("print systemd's timers, or lines of a crontab, that run the jobs of a lake")
    .requiredOption("--lake <dir>", "folder of the lake")
    .option("--topic <url>", `topic that is moved into the lake, where no job follows it: ${TOPIC_URL_FORMS}`)
    .option("--output <dir>", "folder for a report each hour, and for answers")
    .addOption(
      new Option("--answer <name>", "an answer of everything, each hour, as CSV in the output folder; may be repeated")
        .argParser((name: string, names: readonly string[]): readonly string[] => [...names, checked(parseAnswer)(name)]).default([]),
    )
    .option("--keep-days <table=days>", "as of compact; may be repeated", (text: string, all: readonly string[]): readonly string[] => {
      checked(parseKeepDays)(text);
      return [...all, text];
    }, [])
    .addOption(new Option("--cron", "lines of a crontab instead").default(false))
    .addOption(new Option("--install", "have systemd run them: the system's as root, else the user's own").default(false).conflicts("cron"))
    .action(async ({ lake, topic = null, output = null, answer, keepDays, cron, install }) => {
      if (answer.length > 0 && output === null) throw new SyntaxError("Cannot schedule answers: no folder is given, needed --output DIR");
      const schedule: Schedule = {
        command: await ownCommand(),
        lake: await absolute(lake),
        topic: topic === null ? null : await absoluteTopic(topic),
        output: output === null ? null : await absolute(output),
        answers: answer,
        keepDays,
      };
      if (cron) return console.log(cronLines(schedule).join("\n"));
      const units = systemdUnits(schedule, Deno.uid() === 0 ? await ownerOf(schedule.lake) : null);
      if (!install) return print(units);
      const isRoot = Deno.uid() === 0,
        folder = isRoot ? SYSTEM_UNITS : `${Deno.env.get("XDG_CONFIG_HOME") ?? `${Deno.env.get("HOME")}/.config`}/systemd/user`;
      await installUnits(units, folder, (args) => systemctl(isRoot ? args : ["--user", ...args]));
      for (const name of units.keys()) console.log(`${folder}/${name}`);
    });
}

function parseAnswer(name: string): string {
  if (SCHEDULED_ANSWERS.includes(name)) return name;
  throw new SyntaxError(`Cannot schedule answer "${name}": needed one of ${SCHEDULED_ANSWERS.join(", ")}`);
}

function print(units: Units): void {
  for (const [name, text] of units) console.log(`# ${name}\n${text}`);
}

/** Of an installed package its program, else Deno and this checkout's task. */
async function ownCommand(): Promise<string[]> {
  const program = Deno.env.get("SKYFALL_JOBS");
  if (program !== undefined) return [program];
  return [Deno.execPath(), "task", "--quiet", "--config", await Deno.realPath(DENO_JSON), "jobs"];
}

/** Jobs run in a folder of systemd's or cron's. */
async function absolute(path: string): Promise<string> {
  return path.startsWith("/") ? path : `${await Deno.realPath(".")}/${path}`;
}

async function absoluteTopic(topic: string): Promise<string> {
  return topic.startsWith("sqlite:") ? `sqlite:${await absolute(topic.slice("sqlite:".length))}` : topic;
}

/** Who owns the lake writes into it, by number; root where there is none yet. */
async function ownerOf(lake: string): Promise<string> {
  try {
    return String((await Deno.stat(lake)).uid ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "0";
    throw error;
  }
}

async function systemctl(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("systemctl", { args: [...args], stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot run systemctl ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
