/**
 * Cost of UDP in the kernel: nanoseconds a datagram at 20,000 a second, and what TCP's calls pay for leaving early. The
 * statistics read a clock twice a run: about 60 ns of each figure, as an empty program shows, are theirs.
 */

import { RunningTask } from "../tests/command.ts";
import { cpuSeconds, freeUdpPort, outputOf } from "./processes.ts";
import { formatTable } from "./table.ts";

/** What bpftool says of a loaded program. */
interface KernelProgram {
  readonly id: number;
  readonly name: string;
  readonly run_time_ns?: number;
  readonly run_cnt?: number;
}

interface Load {
  readonly name: string;
  /** Of udp_actor.py. */
  readonly args: readonly string[];
  /** Datagrams, or requests with their replies. */
  readonly count: number;
}

const RATE = 20_000, SECONDS = 10, REQUESTS = 100_000, QUESTIONS = 20_000;
const LOADS: readonly Load[] = [
  { name: "UDP, connected client", args: ["udp", `${RATE}`, `${SECONDS}`, "1"], count: RATE * SECONDS },
  { name: "UDP, client not connected", args: ["udp", `${RATE}`, `${SECONDS}`, "0"], count: RATE * SECONDS },
  { name: "UDP, a new client for each question", args: ["dns", `${QUESTIONS}`], count: 2 * QUESTIONS },
  { name: "TCP, request and reply", args: ["tcp", `${REQUESTS}`], count: REQUESTS },
];
const ACTOR = new URL("udp_actor.py", import.meta.url).pathname;

async function udpPrograms(): Promise<Map<number, KernelProgram>> {
  const programs = JSON.parse(await outputOf("bpftool", "prog", "show", "-j")) as KernelProgram[];
  return new Map(programs.filter(({ name }) => name?.startsWith("skyfall_udp")).map((program) => [program.id, program]));
}

/** Rows of one load: a program's runs and cost, then all of them over what was done. */
async function measure({ name, args, count }: Load, agentPid: number, own: ReadonlySet<number>): Promise<(string | number)[][]> {
  const before = await udpPrograms(), cpuBefore = await cpuSeconds(agentPid), startMs = performance.now();
  await outputOf("python3", ACTOR, ...args);
  const wallS = (performance.now() - startMs) / 1_000, cpuS = await cpuSeconds(agentPid) - cpuBefore;
  const costs = [...await udpPrograms()].filter(([id]) => own.has(id)).map(([id, { name, run_cnt = 0, run_time_ns = 0 }]) => {
    const { run_cnt: runs = 0, run_time_ns: ns = 0 } = before.get(id)!;
    return { name, runs: run_cnt - runs, ns: run_time_ns - ns };
  }).filter(({ runs }) => runs > 0);
  const totalNs = costs.reduce((sum, { ns }) => sum + ns, 0);
  return [
    ...costs.map((cost) => [name, cost.name, cost.runs, (cost.ns / cost.runs).toFixed(0), (cost.ns / count).toFixed(0)]),
    [name, "together", "", "", (totalNs / count).toFixed(0)],
    [name, `kernel ${(totalNs / wallS / 1e7).toFixed(2)} %, agent ${(100 * cpuS / wallS).toFixed(2)} % of a core`, "", "", ""],
  ];
}

const enabledBefore = (await outputOf("sysctl", "-n", "kernel.bpf_stats_enabled")).trim();
await outputOf("sysctl", "-w", "kernel.bpf_stats_enabled=1");
const others = await udpPrograms(); // of another agent on this host
const agent = await RunningTask.start("agent", ["run", "--collector", `127.0.0.1:${freeUdpPort()}`]);
try {
  await agent.line("observing");
  const own = new Set([...(await udpPrograms()).keys()].filter((id) => !others.has(id)));
  const rows: (string | number)[][] = [];
  for (const load of LOADS) rows.push(...await measure(load, agent.pid, own));
  console.log(formatTable(["load", "kernel program", "runs", "ns a run", "ns a datagram or request"], rows));
} finally {
  agent.kill("SIGTERM");
  await agent.ended;
  await outputOf("sysctl", "-w", `kernel.bpf_stats_enabled=${enabledBefore}`);
}
Deno.exit(0);
