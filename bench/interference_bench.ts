/** What an observer takes from others: a stream's throughput and a server's response time, without one, with Skyfall, with softflowd. */

import { RunningTask } from "../tests/command.ts";
import { compiled } from "./load.ts";
import { freeUdpPort, outputOf, Peer } from "./processes.ts";
import { formatTable } from "./table.ts";

const SECONDS = 3, ROUNDS = 5, READY_MS = 1_000;

const OBSERVERS = ["none", "skyfall", "softflowd"] as const;
type Observer = typeof OBSERVERS[number];

interface Sample {
  readonly streamGbps: number;
  /** Of one connection, and of a connection for each request. */
  readonly keptP99Us: number;
  readonly eachP99Us: number;
  readonly eachPerSecond: number;
}

/** Below the ephemeral ports, which others' connections take at any time. */
function freeTcpPort(): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      using _listener = Deno.listen({ hostname: "127.0.0.1", port });
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

async function stream(): Promise<number> {
  const port = String(freeTcpPort());
  await using _server = await Peer.start("iperf3", ["-s", "-B", "127.0.0.1", "-p", port], READY_MS);
  const report = JSON.parse(await outputOf("iperf3", "-c", "127.0.0.1", "-p", port, "-t", String(SECONDS), "-J"));
  return report.end.sum_received.bits_per_second / 1e9;
}

async function roundTrips(program: string, each: boolean): Promise<{ readonly perSecond: number; readonly p99Us: number }> {
  const [count, , p99Ns] = (await outputOf(program, String(SECONDS), each ? "1" : "0")).trim().split(" ").map(Number);
  return { perSecond: count! / SECONDS, p99Us: p99Ns! / 1_000 };
}

async function sample(program: string): Promise<Sample> {
  const streamGbps = await stream(), kept = await roundTrips(program, false), each = await roundTrips(program, true);
  return { streamGbps, keptP99Us: kept.p99Us, eachP99Us: each.p99Us, eachPerSecond: each.perSecond };
}

/** Samples while an observer is at work on the loopback interface. */
async function observed(observer: Observer, program: string): Promise<Sample> {
  if (observer === "none") return await sample(program);
  if (observer === "softflowd") {
    await using _ = await Peer.start("softflowd", ["-d", "-i", "lo", "-n", `127.0.0.1:${freeUdpPort()}`], READY_MS);
    return await sample(program);
  }
  const agent = await RunningTask.start("agent", ["run", "--collector", `127.0.0.1:${freeUdpPort()}`]);
  await agent.line("observing");
  const result = await sample(program);
  agent.kill("SIGTERM");
  await agent.ended;
  return result;
}

const program = await compiled("roundtrips");
const samples = new Map<Observer, Sample[]>(OBSERVERS.map((observer) => [observer, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const observer of OBSERVERS) samples.get(observer)!.push(await observed(observer, program));
}

const median = (observer: Observer, of: (sample: Sample) => number) => samples.get(observer)!.map(of).sort((a, b) => a - b)[ROUNDS >> 1]!;
const FIGURES: readonly [string, (sample: Sample) => number][] = [
  ["iperf3, one stream, Gbit/s", (s) => s.streamGbps],
  ["request/response, one connection, p99 us", (s) => s.keptP99Us],
  ["request/response, a connection each, p99 us", (s) => s.eachP99Us],
  ["request/response, a connection each, 1/s", (s) => s.eachPerSecond],
];
console.log(`over loopback, medians of ${ROUNDS} rounds of ${SECONDS} s each, the observers in turns\n`);
console.log(formatTable(
  ["figure", ...OBSERVERS, "skyfall / none", "softflowd / none"],
  FIGURES.map(([name, of]) => [
    name,
    ...OBSERVERS.map((observer) => median(observer, of).toFixed(1)),
    (median("skyfall", of) / median("none", of)).toFixed(3),
    (median("softflowd", of) / median("none", of)).toFixed(3),
  ]),
));
Deno.exit(0);
