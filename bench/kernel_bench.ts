/** Cost in the kernel per socket, beside tcplife: each observes alone, in turns, so that neither warms the other's caches. */

import { RunningTask } from "../tests/command.ts";
import { costBetween, loadedPrograms, type ProgramCost, programsOf, totalNs, withStatistics } from "./bpf_statistics.ts";
import { ConnectionLoad } from "./load.ts";
import { cpuSeconds, outputOf, pause, Peer } from "./processes.ts";
import { formatTable } from "./table.ts";

const PER_SECOND = 1_000, SECONDS = 10, ROUNDS = 3;
const READY_MS = 3_000, SETTLE_MS = 500;
const TRACEFS = "/sys/kernel/tracing";

/** One observer's programs and processor time over one round. */
interface Round {
  readonly programs: readonly ProgramCost[];
  readonly cpuSeconds: number;
  readonly sockets: number;
  readonly seconds: number;
}

/** Runs the load while a process observes it; `start` resolves with its id when it does. */
async function observed(start: () => Promise<number>): Promise<Round> {
  await using load = await ConnectionLoad.start(0, PER_SECOND, SECONDS);
  const pid = await start(), before = await loadedPrograms(), own = await programsOf(pid);
  if (own.size === 0) throw new Error("Cannot measure: the observer loaded no program");
  const cpuS = await cpuSeconds(pid);
  const { connections, seconds } = await load.run();
  await pause(SETTLE_MS);
  const programs = costBetween(own, before, await loadedPrograms());
  return { programs, cpuSeconds: await cpuSeconds(pid) - cpuS, sockets: 2 * connections, seconds };
}

async function skyfallRound(): Promise<Round> {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  let agent: RunningTask | null = null;
  const round = await observed(async () => {
    agent = await RunningTask.start("agent", ["run", "--collector", `127.0.0.1:${port}`, "--cpu-limit-percent", "100"]);
    await agent.line("observing");
    return agent.pid;
  });
  for (const program of [agent!, collector] as RunningTask[]) {
    program.kill("SIGTERM");
    await program.ended;
  }
  return round;
}

async function tcplifeRound(): Promise<Round> {
  await using stack = new AsyncDisposableStack();
  return await observed(async () => stack.use(await Peer.start("tcplife", [], READY_MS)).pid);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const perSocket = ({ programs, sockets }: Round) => totalNs(programs) / sockets;

if ((await Array.fromAsync(Deno.readDir(TRACEFS))).length === 0) await outputOf("mount", "-t", "tracefs", "tracefs", TRACEFS);
const own: Round[] = [], peer: Round[] = [];
await withStatistics(async () => {
  for (let round = 0; round < ROUNDS; round++) {
    own.push(await skyfallRound());
    peer.push(await tcplifeRound());
  }
});

console.log(`${PER_SECOND} connections a second for ${SECONDS} s over loopback, both ends on this host, ${ROUNDS} rounds each, medians\n`);
const observers = [["skyfall", own], ["tcplife", peer]] as const;
const last = observers.flatMap(([name, rounds]) =>
  rounds.at(-1)!.programs.map((program) => ({ name, program, sockets: rounds.at(-1)!.sockets }))
);
console.log(formatTable(
  ["observer", "kernel program (last round)", "runs a socket", "ns a run", "ns a socket"],
  last.map(({ name, program: { name: program, runs, ns }, sockets }) => [
    name,
    program,
    (runs / sockets).toFixed(1),
    (ns / runs).toFixed(0),
    (ns / sockets).toFixed(0),
  ]),
));
const share = (of: (round: Round) => number, rounds: readonly Round[]) =>
  `${(100 * median(rounds.map((round) => of(round) / round.seconds))).toFixed(2)} %`;
console.log(formatTable(
  ["observer", "kernel, ns a socket's lifetime", "kernel, of one core", "process, of one core"],
  observers.map(([name, rounds]) => [
    name,
    median(rounds.map(perSocket)).toFixed(0),
    share(({ programs }) => totalNs(programs) / 1e9, rounds),
    share(({ cpuSeconds }) => cpuSeconds, rounds),
  ]),
));
console.log(`\ntcplife / skyfall in the kernel: ${(median(peer.map(perSocket)) / median(own.map(perSocket))).toFixed(1)}`);
Deno.exit(0);
