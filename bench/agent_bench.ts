/** The agent's cost at several loads: processor time of kernel programs and process, memory, losses, time to start. */

import { RunningTask } from "../tests/command.ts";
import { costBetween, loadedPrograms, programsOf, totalNs, withStatistics } from "./bpf_statistics.ts";
import { ConnectionLoad } from "./load.ts";
import { cpuSeconds, pause, residentBytes } from "./processes.ts";
import { formatTable } from "./table.ts";

interface Scenario {
  readonly name: string;
  /** Connections with both ends on this host: twice as many sockets. */
  readonly open: number;
  readonly perSecond: number;
  readonly seconds: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "idle host", open: 100, perSecond: 50, seconds: 20 },
  { name: "busy host", open: 10_000, perSecond: 1_000, seconds: 30 },
  { name: "very busy host", open: 50_000, perSecond: 10_000, seconds: 20 },
];
const SETTLE_MS = 2_000;
/** Until the engine has compiled what runs again and again, which it does once. */
const WARM_UP_S = 20, WARM_UP_PER_SECOND_MAX = 100;

interface Result {
  readonly scenario: Scenario;
  readonly connections: number;
  readonly seconds: number;
  readonly startMs: number;
  readonly kernelNs: number;
  readonly processS: number;
  readonly residentBytes: number;
  readonly ledger: Readonly<Record<string, number>>;
}

async function measure(scenario: Scenario): Promise<Result> {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await using load = await ConnectionLoad.start(scenario.open, scenario.perSecond, scenario.seconds);
  await using warmUp = await ConnectionLoad.start(0, Math.min(scenario.perSecond, WARM_UP_PER_SECOND_MAX), WARM_UP_S);
  const spawnedMs = performance.now();
  const agent = await RunningTask.start("agent", ["run", "--collector", `127.0.0.1:${port}`]);
  await agent.line("observing");
  const startMs = performance.now() - spawnedMs;
  await warmUp.run();
  await pause(SETTLE_MS);
  const programs = await programsOf(agent.pid), start = await loadedPrograms(), cpuS = await cpuSeconds(agent.pid);
  const { connections, seconds } = await load.run();
  await pause(SETTLE_MS);
  const kernelNs = totalNs(costBetween(programs, start, await loadedPrograms()));
  const processS = await cpuSeconds(agent.pid) - cpuS, resident = await residentBytes(agent.pid);
  agent.kill("SIGTERM");
  const { code, stderr } = await agent.ended;
  if (code !== 0) throw new Error(`Cannot measure: the agent ended with ${code}: ${stderr}`);
  const { ledger } = JSON.parse(await agent.line('"stopped"'));
  collector.kill("SIGTERM");
  await collector.ended;
  return { scenario, connections, seconds: seconds + SETTLE_MS / 1_000, startMs, kernelNs, processS, residentBytes: resident, ledger };
}

function percent(seconds: number, of: number): string {
  return `${(100 * seconds / of).toFixed(2)} %`;
}

/** Those named on the command line, or all. */
function isWanted({ name }: Scenario): boolean {
  return Deno.args.length === 0 || Deno.args.includes(name);
}

const results: Result[] = [];
await withStatistics(async () => {
  for (const scenario of SCENARIOS.filter(isWanted)) results.push(await measure(scenario));
});
console.log("both ends of every connection are on this host: twice as many sockets as connections\n");
console.log(formatTable(
  [
    "load",
    "open sockets",
    "connections/s",
    "kernel",
    "process",
    "together, of one core",
    "resident",
    "to the first records",
    "kernel, ns a socket",
  ],
  results.map(({ scenario, connections, seconds, startMs, kernelNs, processS, residentBytes }) => [
    scenario.name,
    2 * scenario.open,
    (connections / scenario.seconds).toFixed(0),
    percent(kernelNs / 1e9, seconds),
    percent(processS, seconds),
    percent(kernelNs / 1e9 + processS, seconds),
    `${(residentBytes / 1e6).toFixed(0)} MB`,
    `${startMs.toFixed(0)} ms`,
    (kernelNs / connections / 2).toFixed(0),
  ]),
));
for (const { scenario, connections, ledger } of results) {
  const lost = ledger["ring_lost_events"]! + ledger["map_full_sockets"]! + ledger["send_lost_records"]!;
  const ended = ledger["ended_connections"]!;
  console.log(
    `${scenario.name}: ${connections} connections made, ${ended} socket ends seen, ${lost} lost, ${ledger["flow_records"]} flow records`,
  );
}
Deno.exit(0);
