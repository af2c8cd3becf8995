/** What a lake needs from time to time, as systemd's timers (systemd.timer(5)) or lines of a crontab (crontab(5)). */

import { ANALYSES } from "./analytics.ts";

export interface Schedule {
  /** How a job is started, as far as its own arguments. */
  readonly command: readonly string[];
  readonly lake: string;
  /** Null where other programs, or jobs that follow it, move the topic. */
  readonly topic: string | null;
  /** Folder of the report and of answers; null for none. */
  readonly output: string | null;
  /** Names of answers that are kept in files. */
  readonly answers: readonly string[];
  /** As `--keep-days` of compact. */
  readonly keepDays: readonly string[];
}

/** A job and when it runs. */
interface ScheduledJob {
  readonly name: string;
  readonly description: string;
  readonly args: readonly string[];
  /** As systemd.time(7) has it, and as crontab(5). */
  readonly calendar: string;
  readonly cron: string;
}

/** Files of systemd by name. */
export type Units = ReadonlyMap<string, string>;

/** Vacuum and compact exclude each other: they begin at different minutes, so that neither always finds the other at work. */
export function scheduledJobs({ lake, topic, output, answers, keepDays }: Schedule): ScheduledJob[] {
  const topicJobs = topic === null ? [] : [
    job("etl", "moves what is new in the topic into the lake", ["run", "etl", "--topic", topic, "--lake", lake], "*:*:00", "* * * * *"),
    job(
      "dependencies",
      "finds the edges of the minutes that have closed",
      ["run", "dependencies", "--topic", topic, "--lake", lake],
      "*:*:30",
      "* * * * *",
    ),
  ];
  const keep = keepDays.flatMap((each) => ["--keep-days", each]);
  const files = output === null ? [] : [
    job("report", "writes the report", ["report", "--lake", lake, "--output", `${output}/report.html`], "*:20:00", "20 * * * *"),
    ...answers.map((name) =>
      job(
        `answer-${name}`,
        `writes the answer ${name}`,
        ["run", name, "--lake", lake, "--format", "csv", "--output", `${output}/${name}.csv`],
        "*:25:00",
        "25 * * * *",
      )
    ),
  ];
  return [
    ...topicJobs,
    job(
      "compact",
      "rolls edges up, drops what is too old, and merges small files",
      ["run", "compact", "--lake", lake, ...keep],
      "*:0/10:00",
      "*/10 * * * *",
    ),
    job("vacuum", "deletes files that are no part of the lake any more", ["vacuum", "--lake", lake], "*:05:00", "5 * * * *"),
    job(
      "audit",
      "proves that the lake holds each row of the topic once",
      ["audit", "--lake", lake, ...topic === null ? [] : ["--topic", topic]],
      "*-*-* 04:35:00",
      "35 4 * * *",
    ),
    ...files,
  ];
}

function job(name: string, description: string, args: readonly string[], calendar: string, cron: string): ScheduledJob {
  return { name, description, args, calendar, cron };
}

/** Answers that need no file and no service, and may so be kept without being asked more. */
export const SCHEDULED_ANSWERS: readonly string[] = ANALYSES.filter(({ name, parameters }) =>
  !parameters.includes("service") && !parameters.includes("span") && name !== "zone-crossings" && name !== "link-failure"
).map(({ name }) => name);

/**
 * A service and a timer for each job. A run that was missed while the machine was off is caught up at its start.
 *
 * @param user Whose the lake is; null for the timers of a user's own systemd.
 */
export function systemdUnits(schedule: Schedule, user: string | null): Units {
  const units = new Map<string, string>();
  for (const { name, description, args, calendar } of scheduledJobs(schedule)) {
    const unit = `skyfall-jobs-${name}`;
    units.set(
      `${unit}.service`,
      `# Made by "jobs schedule".
[Unit]
Description=Skyfall: ${description}

[Service]
Type=oneshot
ExecStart=${[...schedule.command, ...args].map(systemdWord).join(" ")}
${user === null ? "" : `User=${user}\n`}Nice=5
`,
    );
    units.set(
      `${unit}.timer`,
      `# Made by "jobs schedule".
[Unit]
Description=Skyfall: ${description}

[Timer]
OnCalendar=${calendar}
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
`,
    );
  }
  return units;
}

/** Lines of a crontab. A run that was missed is not caught up by cron; the next one does all that there is to do. */
export function cronLines(schedule: Schedule): string[] {
  return scheduledJobs(schedule).map(({ cron, args }) => `${cron} ${[...schedule.command, ...args].map(cronWord).join(" ")}`);
}

/** systemd.service(5), "Command lines": in quotes, with C's escapes, specifiers and variables doubled. */
function systemdWord(word: string): string {
  assertLine(word);
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w./:=@+-]+$/.test(word) ? word : `"${escaped}"`;
}

/** For sh(1); a crontab's percent sign would be the end of its line. */
function cronWord(word: string): string {
  assertLine(word);
  return (/^[\w./:=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`).replaceAll("%", "\\%");
}

function assertLine(word: string): void {
  // deno-lint-ignore no-control-regex -- they are what it is about
  if (/[\u0000-\u001f\u007f]/.test(word)) {
    throw new SyntaxError(`Cannot schedule ${JSON.stringify(word)}: needed a text without line ends and control characters`);
  }
}

/** Writes the units into a folder of systemd's and has it run the timers, by `systemctl` with such arguments. */
export async function installUnits(units: Units, folder: string, systemctl: (args: readonly string[]) => Promise<void>): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of units) await Deno.writeTextFile(`${folder}/${name}`, text);
  await systemctl(["daemon-reload"]);
  await systemctl(["enable", "--now", ...[...units.keys()].filter((name) => name.endsWith(".timer"))]);
}
