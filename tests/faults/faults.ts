/**
 * Brings faults, one after another, upon the jobs of a lake, and audits what is left: nothing may be lost, doubled or unreadable, and
 * no run may need anybody's help. All that is random comes from one seed; when the processes' threads meet does not.
 */

import { auditLake } from "../../jobs/audit/audit.ts";
import { randomNumbers } from "../../lib/testdata/flow_batch.ts";
import { type Broker } from "../../tools/kafka.ts";
import { Commands, type JobCommand } from "./commands.ts";
import { Disk } from "./disk.ts";
import { Feed } from "./feed.ts";
import { buildPreload, type StepDeed, type StepFault } from "./preload.ts";
import { type FaultPlace, type JobEnd, JobProcess } from "./process.ts";

const PARTITIONS = 4;
const DISK_BYTES = 1 << 30;
const FEED_MAX = 5;
/** Steps among which one is drawn before a run has told its own, and at least. */
const FIRST_STEPS = 80;
const STEPS_MIN = 10;
const KILL_WITHIN_MS = 700;
/** Of so many losses of power one comes when the run has ended. */
const POWER_AFTER_ONE_IN = 3;
/** Jumps of the clock, in seconds: forth and back, past whatever is kept for an hour or a week. */
const CLOCK_JUMPS = [-864_000, -3_700, 3_700, 864_000];

/** What may befall a run: before one of its steps, at any moment ("late kill"), its disk ("filled") or its topic ("broker"). */
export type Deed = Exclude<StepDeed, "count"> | "late kill" | "filled" | "broker";
export const DEEDS: readonly Deed[] = ["kill", "stop", "eio", "full", "torn", "power", "clock", "late kill", "filled", "broker"];
/** What may befall a run beside another that a fault befalls, and needs nothing of the harness. */
const COMPANION_DEEDS: readonly StepDeed[] = ["kill", "eio", "full", "torn", "clock"];
const DISK_DEEDS: ReadonlySet<Deed> = new Set(["power", "filled"]);
/** How a job says why it failed: in our words, or in the system's with the file's name. */
const EXPLAINED = /"message":"failed","error":"(Cannot |IO Error: \S|[^"]*\(os error (5|28)\): \w+ ')/;
/** How a job says that it has committed a version, and of which table. */
const COMMITTED = /"message":"committed","version":"(\d+)"/g;
const TABLE_OF: Readonly<Record<string, string>> = { etl: "flow", dependencies: "edge_1m" };
/** Deeds after which no process of the run is left. */
const FATAL: ReadonlySet<Deed | "count"> = new Set(["kill", "torn", "power", "late kill"]);

/** A fault that came, with the run and the step. */
interface Brought {
  readonly deed: Deed;
  readonly struck: string;
}

const NO_FAULT: StepFault = { deed: "count", step: 0, seconds: 0 };

export interface FaultOptions {
  readonly faults: number;
  readonly seed: number;
  /** Broker on which a topic is made; without it an embedded one is. */
  readonly broker: Broker | null;
  /** Whether there may be a disk of its own; without it the deeds that need one are left out. */
  readonly hasDisk: boolean;
  readonly auditEvery: number;
  /** Folder of the program whose jobs run. */
  readonly project: URL;
  /** What may befall a run. */
  readonly deeds: readonly Deed[];
  /** Gets a line per fault and audit. */
  readonly log: (line: string) => void;
}

export interface FaultResult {
  readonly faults: number;
  readonly byDeed: ReadonlyMap<string, number>;
  readonly messages: number;
  readonly rows: number;
  readonly audits: number;
  readonly lost: number;
  readonly doubled: number;
  readonly unreadable: number;
  readonly manualRepairs: number;
  /** What was wrong, with the fault after which it was seen. */
  readonly problems: readonly string[];
}

/** @throws {Error} If the harness itself cannot go on. */
export async function runFaults(options: FaultOptions): Promise<FaultResult> {
  const folder = await Deno.makeTempDir({ prefix: "skyfall-faults-" });
  try {
    await using disk = options.hasDisk ? await Disk.make(folder, DISK_BYTES) : null;
    const root = disk?.path ?? folder;
    await Deno.mkdir(`${folder}/scratch`);
    const place = { library: await buildPreload(folder), folder: `${root}/lake`, scratch: `${folder}/scratch`, project: options.project };
    const topic = options.broker?.url("flows") ?? `sqlite:${folder}/topic.db`;
    const random = randomNumbers(options.seed);
    await using feed = await Feed.open(`${topic}?partitions=${PARTITIONS}`, random);
    const result = await new FaultRun(options, place, topic, disk, feed, random).run();
    if (result.problems.length > 0) options.log(`the lake and its topic are in ${await keepCopy(folder, root)}`);
    return result;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

class FaultRun {
  readonly #options: FaultOptions;
  readonly #place: FaultPlace;
  readonly #topic: string;
  readonly #commands: Commands;
  readonly #disk: Disk | null;
  readonly #feed: Feed;
  readonly #random: (below: number) => number;
  readonly #byDeed = new Map<string, number>();
  readonly #problems: string[] = [];
  #steps = FIRST_STEPS;
  #faults = 0;
  /** By table, the newest version of which a job said that it is committed. */
  readonly #acknowledged = new Map<string, number>();
  #audits = 0;
  #manualRepairs = 0;
  #unreadable = 0;

  constructor(
    options: FaultOptions,
    place: FaultPlace,
    topic: string,
    disk: Disk | null,
    feed: Feed,
    random: (below: number) => number,
  ) {
    [this.#options, this.#place, this.#topic, this.#disk, this.#feed, this.#random] = [options, place, topic, disk, feed, random];
    this.#commands = new Commands(place.folder, topic, random);
  }

  async run(): Promise<FaultResult> {
    const { faults, auditEvery, log } = this.#options;
    const deeds = this.#options.deeds.filter((deed) =>
      (this.#disk !== null || !DISK_DEEDS.has(deed)) && (this.#options.broker !== null || deed !== "broker")
    );
    while (this.#faults < faults) {
      const deed = deeds[this.#random(deeds.length)]!;
      await this.#feed.publish(1 + this.#random(FEED_MAX));
      const before = this.#faults;
      for (const { deed: brought, struck } of await this.#bring(deed)) {
        this.#faults++;
        this.#byDeed.set(brought, (this.#byDeed.get(brought) ?? 0) + 1);
        log(`fault ${this.#faults}: ${brought} ${struck}`);
      }
      const isDue = Math.floor(before / auditEvery) < Math.floor(this.#faults / auditEvery);
      if (isDue && this.#faults < faults) await this.#audit();
      if (this.#problems.length > 0) break;
    }
    const account = await this.#audit();
    return {
      faults: this.#faults,
      byDeed: this.#byDeed,
      ...account,
      audits: this.#audits,
      unreadable: this.#unreadable,
      manualRepairs: this.#manualRepairs,
      problems: this.#problems,
    };
  }

  /** Runs a job, maybe two, each with a fault; tells of those that came before their run ended. */
  async #bring(deed: Deed): Promise<readonly Brought[]> {
    if (deed === "filled") return [{ deed, struck: await this.#fill() }];
    const { victim, companion } = this.#commands.turn();
    const byStep = deed !== "late kill" && deed !== "broker";
    const isAfter = deed === "power" && this.#random(POWER_AFTER_ONE_IN) === 0;
    const fault: StepFault = byStep ? this.#stepFault(deed, isAfter) : NO_FAULT;
    const job = await this.#start(victim, fault);
    const isAlone = deed === "power" || deed === "broker" || companion === null;
    const otherFault = isAlone ? NO_FAULT : this.#stepFault(COMPANION_DEEDS[this.#random(COMPANION_DEEDS.length)]!, false);
    const other = companion === null ? null : await this.#start(companion, otherFault);
    const strikeAnyTime = byStep ? null : await this.#strikeAnyTime(deed, job);
    if (deed === "stop" && await job.stopped() === "stopped") {
      await this.#overtake(victim);
      job.signal("SIGCONT");
    }
    const end = await job.ended;
    if (deed === "power") other?.signal("SIGKILL");
    this.#judge(deed, end, victim);
    let struck = end.struck === null ? strikeAnyTime : describe(fault, end.struck);
    if (deed === "power") struck = await this.#losePower(struck);
    const name = `of "${nameOf(victim)}"${companion === null ? "" : ` beside "${nameOf(companion)}"`}`;
    const brought: Brought[] = struck === null ? [] : [{ deed, struck: `${name} ${struck}` }];
    if (other === null) return brought;
    const otherEnd = await other.ended;
    this.#judge(deed === "power" || deed === "broker" ? deed : otherFault.deed, otherEnd, companion!);
    if (otherEnd.struck !== null && otherFault.deed !== "count") {
      brought.push({
        deed: otherFault.deed,
        struck: `of "${nameOf(companion!)}" beside "${nameOf(victim)}" ${describe(otherFault, otherEnd.struck)}`,
      });
    }
    return brought;
  }

  #stepFault(deed: StepDeed, isAfter: boolean): StepFault {
    return { deed, step: isAfter ? 0 : 1 + this.#random(this.#steps), seconds: CLOCK_JUMPS[this.#random(CLOCK_JUMPS.length)]! };
  }

  /** Power is lost after a run that it did not strike; either way what was acknowledged must be there when it is back. */
  async #losePower(struck: string | null): Promise<string> {
    if (struck === null) await this.#disk!.losePower(this.#place.library);
    else await this.#disk!.recover();
    for (const [table, version] of this.#acknowledged) {
      if (await hasCommit(`${this.#place.folder}/${table}`, version)) continue;
      this.#problem(`version ${version} of ${table} was committed, and lost with the power`);
    }
    return struck ?? "after the run";
  }

  async #strikeAnyTime(deed: Deed, job: JobProcess): Promise<string | null> {
    const afterMs = this.#random(KILL_WITHIN_MS);
    await Promise.race([job.ended, new Promise((resolve) => setTimeout(resolve, afterMs))]);
    if (deed === "broker") {
      await this.#options.broker!.kill();
      await this.#options.broker!.restart();
      return `restarted after ${afterMs} ms`;
    }
    job.signal("SIGKILL");
    return (await job.ended).signal === null ? null : `after ${afterMs} ms`;
  }

  /** The same job on another host, where the stopped one's locks do not reach, goes on in its place. */
  async #overtake(command: JobCommand): Promise<void> {
    for (const path of await findLocks(this.#place.folder)) await Deno.remove(path);
    this.#judge("count", await (await this.#start(command, NO_FAULT)).ended, command);
  }

  async #fill(): Promise<string> {
    const free = await this.#disk!.fill();
    const { etl } = this.#commands;
    const end = await (await this.#start(etl, NO_FAULT)).ended;
    this.#judge("full", end, etl);
    await free();
    return `the disk of "${nameOf(etl)}", which ended with ${end.code}`;
  }

  #start(command: JobCommand, fault: StepFault): Promise<JobProcess> {
    return JobProcess.start(command, this.#place, fault);
  }

  /** A run may be killed, or fail and say why; it may not fail where nothing befell it, or in words that are no error of ours. */
  #judge(deed: Deed | "count", { code, signal, struck, steps, stderr }: JobEnd, command: JobCommand): void {
    const table = TABLE_OF[command[1]!];
    for (const [, version] of table === undefined ? [] : stderr.matchAll(COMMITTED)) {
      this.#acknowledged.set(table!, Math.max(this.#acknowledged.get(table!) ?? 0, Number(version)));
    }
    if (steps !== null && struck === null) this.#steps = Math.max(steps, STEPS_MIN);
    if (code === 0 || (signal === "SIGKILL" && FATAL.has(deed))) return;
    if (/there is no table in it/.test(stderr) && command[1] !== "etl") return;
    const mayFail = deed === "full" || deed === "power" || deed === "broker" || (deed === "eio" && struck !== null);
    if (mayFail && code === 1 && EXPLAINED.test(stderr)) return;
    this.#problem(
      `"${nameOf(command)}" ended with ${signal ?? code}${struck === null ? "" : ` after ${struck}`}: ${stderr.trim().split("\n").at(-1)}`,
    );
  }

  #problem(what: string): void {
    this.#problems.push(`after fault ${this.#faults}: ${what}`);
    this.#options.log(`WRONG ${this.#problems.at(-1)}`);
  }

  /** Runs that nothing befalls must take in the rest, and then everything must be there once. */
  async #audit(): Promise<{ readonly messages: number; readonly rows: number; readonly lost: number; readonly doubled: number }> {
    for (const command of this.#commands.all) {
      const { code, stderr } = await (await this.#start(command, NO_FAULT)).ended;
      if (code === 0) continue;
      this.#manualRepairs++;
      this.#problem(`"${nameOf(command)}" that nothing befell ended with ${code}: ${stderr.trim().split("\n").at(-1)}`);
    }
    this.#audits++;
    try {
      for (const { name, problems } of await auditLake(this.#place.folder, this.#topic, () => {})) {
        for (const { where, what } of problems) this.#problem(`${name}: ${where}: ${what}`);
      }
      const account = await this.#feed.account(this.#place.folder);
      if (account.lost + account.doubled > 0) this.#problem(`${account.lost} rows lost, ${account.doubled} doubled`);
      this.#options.log(
        `audit ${this.#audits}: ${account.rows} rows of ${account.messages} messages, ${account.lost} lost, ${account.doubled} doubled`,
      );
      return account;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#unreadable++;
      this.#problem(`cannot be audited: ${error.message}`);
      return { messages: 0, rows: 0, lost: 0, doubled: 0 };
    }
  }
}

/** What went wrong can be looked at. */
async function keepCopy(folder: string, root: string): Promise<string> {
  const kept = await Deno.makeTempDir({ prefix: "skyfall-faults-kept-" });
  const topics = (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).filter((name) => name.startsWith("topic."));
  await new Deno.Command("cp", { args: ["-r", `${root}/lake`, ...topics.map((name) => `${folder}/${name}`), kept] }).output();
  return kept;
}

function describe({ deed, step, seconds }: StepFault, struck: string): string {
  return `before step ${step}, ${struck}${deed === "clock" ? `, ${seconds} s` : ""}`;
}

/** A command as people call it: without what is the same in all. */
function nameOf(command: JobCommand): string {
  return command.filter((word, i) => !["--topic", "--lake"].includes(word) && !["--topic", "--lake"].includes(command[i - 1] ?? "")).join(
    " ",
  );
}

/** Whether the log has a version, and not an empty file in its place. */
async function hasCommit(directory: string, version: number): Promise<boolean> {
  try {
    return (await Deno.stat(`${directory}/_delta_log/${String(version).padStart(20, "0")}.json`)).size > 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Locks of writers. */
async function findLocks(lake: string): Promise<string[]> {
  const folder = `${lake}/_locks`;
  try {
    return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => `${folder}/${name}`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The line that a run ends with. */
export function summary({ seed }: FaultOptions, result: FaultResult): string {
  const deeds = [...result.byDeed].toSorted(([a], [b]) => a < b ? -1 : 1).map(([deed, count]) => `${count} ${deed}`).join(", ");
  return `seed ${seed}: ${result.faults} faults (${deeds}), ${result.audits} audits of ${result.rows} rows: ${result.lost} lost, ` +
    `${result.doubled} doubled, ${result.unreadable} unreadable, ${result.manualRepairs} manual repairs`;
}
