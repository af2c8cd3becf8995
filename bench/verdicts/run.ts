/** Injects faults into cells under the whole chain, and asks `bottlenecks` what holds each edge up. */

import { Chain, lakePath } from "../../chain/chain.ts";
import { analyse } from "../../jobs/analytics.ts";
import { bottlenecks } from "../../jobs/analytics/bottlenecks.ts";
import type { Database } from "../../jobs/duckdb.ts";
import { withLake } from "../../jobs/query.ts";
import { EVERYTHING } from "../../jobs/question.ts";
import { outputOf, pause } from "../processes.ts";
import { EDGES, nameIn, SERVICES } from "./cell.ts";
import type { Fault, Verdict } from "./faults.ts";
import { Yard } from "./yard.ts";

/** What a minute of the lake is of the run: its rows are told to be of minutes, so that a run need not take hours. */
const MINUTE_MS = 8_000;
const BEFORE_MINUTES = 6;
const FAULT_MINUTES = 2;
/** From a fault's beginning to the time that is asked about, at least; and from its end to the next one's beginning. */
const SETTLE_MS = 2_000;
const RECOVER_MS = 8_000;
/** Rows that begin in a period may tell of so much more: the collector's window, and a report's period. */
const ROW_MS = 4_000;
const WINDOW_S = 1;
/** nice(2) of the programs of the chain, as bench/load/service.c has it. */
const PRIORITY = -15;
/** When a run begins, in the lake. */
const BEGIN_MS = Date.UTC(2026, 0, 2, 9);

/** One edge of one cell under one fault, or under none: then it is healthy. */
export interface Judged {
  readonly fault: Fault;
  readonly edge: string;
  readonly expected: Verdict;
  readonly verdict: string;
  readonly evidence: string;
  readonly row: Readonly<Record<string, unknown>>;
}

interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Round extends Period {
  /** One of each cell, the first of so many that were injected before. */
  readonly first: number;
}

/** When what happened in a run, whose flows are in a lake. */
export interface FaultRun {
  readonly cells: number;
  readonly before: Period;
  readonly rounds: readonly Round[];
}

/**
 * Injects the faults, as many at once as there are cells.
 *
 * @param progress Gets a line for each phase.
 */
export async function injectFaults(
  faults: readonly Fault[],
  cells: number,
  dataDirectory: string,
  progress: (line: string) => void,
): Promise<FaultRun> {
  await Deno.mkdir(dataDirectory, { recursive: true });
  const config = `${dataDirectory}/agent.yaml`;
  await Deno.writeTextFile(config, agentConfig(cells));
  await using yard = await Yard.start(cells);
  progress(`${cells} cells talk`);
  const problems: string[] = [];
  const chain = await Chain.start({
    dataDirectory,
    windowS: WINDOW_S,
    agentArguments: ["--config", config, "--interim-interval-ms", "1000", "--cpu-limit-percent", "100", "--metrics-listen", "off"],
    onProblem: (line) => problems.push(line),
  });
  const rounds: Round[] = [];
  try {
    await hasten();
    await pause(SETTLE_MS);
    const before = await nextMinutes(BEFORE_MINUTES);
    await pause(ROW_MS);
    progress("observed while healthy");
    for (let done = 0; done < faults.length; done += cells) {
      const injected = faults.slice(done, done + cells);
      await Promise.all(injected.map((fault, i) => fault.inject(yard.cells[i]!)));
      await pause(SETTLE_MS);
      rounds.push({ ...await nextMinutes(FAULT_MINUTES), first: done });
      await pause(ROW_MS);
      await Promise.all(injected.map((_, i) => yard.cells[i]!.heal()));
      progress(`${Math.min(done + cells, faults.length)} of ${faults.length} faults injected`);
      if (done + cells < faults.length) await pause(RECOVER_MS);
    }
    return { cells, before, rounds };
  } finally {
    await chain.stop();
    for (const problem of problems) progress(problem);
  }
}

/** What `bottlenecks` says of every edge of a run. */
export async function judgeFaults(faults: readonly Fault[], { cells, before, rounds }: FaultRun, dataDirectory: string): Promise<Judged[]> {
  return await withLake(lakePath({ dataDirectory }), async (database) => {
    await database.run("alter view flow rename to told_flow");
    const judged: Judged[] = [];
    for (const round of rounds) {
      judged.push(...await judgeRound(database, before, round, faults.slice(round.first, round.first + cells), cells));
    }
    return judged;
  });
}

/** Waits until so many minutes have passed. */
async function nextMinutes(count: number): Promise<Period> {
  const fromMs = Date.now(), toMs = fromMs + count * MINUTE_MS;
  await pause(toMs - fromMs);
  return { fromMs, toMs };
}

/** What the machine does besides must not delay the reports: they are of seconds here. Threads that have ended meanwhile are left out. */
async function hasten(): Promise<void> {
  const children = `cat /proc/${Deno.pid}/task/*/children`;
  const threads = `for child in $(${children}); do ls /proc/$child/task; done 2>/dev/null`;
  await outputOf("sh", "-c", `${threads} | xargs renice -n ${PRIORITY} -p || test $? = 123`);
}

/** Every service by the name of its cell. */
function agentConfig(cells: number): string {
  const services = Array.from({ length: cells }, (_, cell) => SERVICES.map(({ name }) => nameIn(cell, name))).flat();
  return JSON.stringify({ nice: 0, services: services.map((name) => ({ command_line: ` ${name} `, service_name: name })) });
}

async function judgeRound(
  database: Database,
  before: Period,
  round: Period,
  faults: readonly Fault[],
  cells: number,
): Promise<Judged[]> {
  const minute = (fromMs: number, first: number) =>
    `timestamptz 'epoch' + to_milliseconds(${BEGIN_MS + first * 60_000} + (epoch_ms(window_start) - ${fromMs}) // ${MINUTE_MS} * 60000)`;
  const during = ({ fromMs, toMs }: Period) => `epoch_ms(window_start) >= ${fromMs} and epoch_ms(window_start) < ${toMs}`;
  await database.run(`create or replace table lapsed_flow as
    select * replace (${minute(before.fromMs, 0)} as window_start) from told_flow where ${during(before)}
    union all
    select * replace (${minute(round.fromMs, BEFORE_MINUTES)} as window_start) from told_flow where ${during(round)}`);
  await database.run("create or replace view flow as select * from lapsed_flow");
  const { rows } = await analyse(database, bottlenecks, { ...EVERYTHING, fromMs: BEGIN_MS + BEFORE_MINUTES * 60_000 });
  const told = new Map(rows.map((row) => [`${row["client_service"]} ${row["server_service"]}`, row]));
  return Array.from({ length: cells }, (_, cell) => {
    const fault = faults[cell] ?? NONE;
    return EDGES.map((edge) => {
      const row = told.get(`${nameIn(cell, edge.client)} ${nameIn(cell, edge.server)}`) ?? {};
      return {
        fault,
        edge: `${edge.client} to ${edge.server}`,
        expected: fault.expected.get(edge) ?? "healthy",
        verdict: String(row["verdict"] ?? "no row"),
        evidence: String(row["evidence"] ?? ""),
        row,
      };
    });
  }).flat();
}

const NONE: Fault = { kind: "none", detail: "", inject: () => Promise.resolve(), expected: new Map() };
