/** Cost in the kernel per connection, beside tcplife in the same run, and the agent's CPU at 1,000 connections a second. */

import { RunningTask } from "../tests/command.ts";
import { runTraffic } from "../tests/traffic/run.ts";
import { cpuSeconds, outputOf, pause, Peer } from "./processes.ts";
import { formatTable } from "./table.ts";

/** What bpftool says of a loaded program. */
interface KernelProgram {
  readonly id: number;
  readonly name: string;
  readonly run_time_ns?: number;
  readonly run_cnt?: number;
}

/** One observer's programs and processor time over the traffic. */
interface ObserverCost {
  readonly programs: readonly { readonly name: string; readonly runs: number; readonly ns: number }[];
  readonly cpuSeconds: number;
}

const PER_SECOND = 1_000, SECONDS = 20, CONNECTIONS = PER_SECOND * SECONDS;
const READY_MS = 3_000;

async function loadedPrograms(): Promise<Map<number, KernelProgram>> {
  const programs = JSON.parse(await outputOf("bpftool", "prog", "show", "-j")) as KernelProgram[];
  return new Map(programs.map((program) => [program.id, program]));
}

/** Programs of `after` that `before` does not have. */
function added(before: ReadonlyMap<number, KernelProgram>, after: ReadonlyMap<number, KernelProgram>): Set<number> {
  return new Set([...after.keys()].filter((id) => !before.has(id)));
}

function cost(
  ids: ReadonlySet<number>,
  start: ReadonlyMap<number, KernelProgram>,
  end: ReadonlyMap<number, KernelProgram>,
  cpuS: number,
): ObserverCost {
  const programs = [...ids].map((id) => {
    const a = start.get(id)!, b = end.get(id)!;
    return { name: b.name, runs: (b.run_cnt ?? 0) - (a.run_cnt ?? 0), ns: (b.run_time_ns ?? 0) - (a.run_time_ns ?? 0) };
  });
  return { programs: programs.filter(({ runs }) => runs > 0), cpuSeconds: cpuS };
}

async function measure(): Promise<{ readonly own: ObserverCost; readonly peer: ObserverCost; readonly wallS: number }> {
  const directory = await Deno.makeTempDir();
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--topic", `sqlite:${directory}/topic.db`]);
  const { port } = JSON.parse(await collector.line("listening"));
  const none = await loadedPrograms();
  const agent = await RunningTask.start("agent", ["run", "--collector", `127.0.0.1:${port}`, "--cpu-limit-percent", "100"]);
  await agent.line("observing");
  const withOwn = await loadedPrograms();
  await using tcplife = await Peer.start("tcplife", [], READY_MS);
  const start = await loadedPrograms();
  const own = added(none, withOwn), peer = added(withOwn, start);
  if (peer.size === 0) throw new Error("Cannot measure tcplife: it loaded no program");
  const agentS = await cpuSeconds(agent.pid), tcplifeS = await cpuSeconds(tcplife.pid), startMs = performance.now();
  await runTraffic({ kinds: ["short"], connections: CONNECTIONS, longPerPlan: 0, concurrency: 64, perSecond: PER_SECOND });
  const wallS = (performance.now() - startMs) / 1_000;
  await pause(1_000);
  const ownCost = cost(own, start, await loadedPrograms(), await cpuSeconds(agent.pid) - agentS);
  const peerCost = cost(peer, start, await loadedPrograms(), await cpuSeconds(tcplife.pid) - tcplifeS);
  for (const program of [agent, collector]) {
    program.kill("SIGTERM");
    await program.ended;
  }
  return { own: ownCost, peer: peerCost, wallS };
}

const TRACEFS = "/sys/kernel/tracing";
if ((await Array.fromAsync(Deno.readDir(TRACEFS))).length === 0) await outputOf("mount", "-t", "tracefs", "tracefs", TRACEFS);
const enabledBefore = (await outputOf("sysctl", "-n", "kernel.bpf_stats_enabled")).trim();
await outputOf("sysctl", "-w", "kernel.bpf_stats_enabled=1");
const { own, peer, wallS } = await measure().finally(() => outputOf("sysctl", "-w", `kernel.bpf_stats_enabled=${enabledBefore}`));

const kernelNs = ({ programs }: ObserverCost) => programs.reduce((sum, { ns }) => sum + ns, 0);
const share = (seconds: number) => `${(100 * seconds / wallS).toFixed(2)} %`;
const observers = [["skyfall", own], ["tcplife", peer]] as const;
console.log(`${CONNECTIONS} connections over loopback, both ends on this host, in ${wallS.toFixed(1)} s\n`);
console.log(formatTable(
  ["observer", "kernel program", "runs", "ns a run", "ns a connection"],
  observers.flatMap(([name, { programs }]) =>
    programs.map((
      program,
    ) => [name, program.name, program.runs, (program.ns / program.runs).toFixed(0), (program.ns / CONNECTIONS).toFixed(0)])
  ),
));
console.log(formatTable(
  ["observer", "kernel, ns a connection", "kernel, of one core", "process, of one core", "together"],
  observers.map(([name, cost]) => [
    name,
    (kernelNs(cost) / CONNECTIONS).toFixed(0),
    share(kernelNs(cost) / 1e9),
    share(cost.cpuSeconds),
    share(kernelNs(cost) / 1e9 + cost.cpuSeconds),
  ]),
));
console.log(`\ntcplife / skyfall in the kernel: ${(kernelNs(peer) / kernelNs(own)).toFixed(1)}`);
Deno.exit(0);
