/** `deno task demo`: a real application, observed through the whole chain, and every edge checked against its own counts. */

import { describeError } from "../lib/log.ts";
import { Chain, lakePath, runJob } from "./chain.ts";
import { type CountedEdge, runDemoApp, SERVICE_RULES } from "./demo_app/run.ts";

/** A row of `jobs run dependency-graph --format json`. */
interface Edge {
  readonly client_service: string;
  readonly server_service: string;
  readonly server_port: number;
  readonly connections: number;
  readonly tx_bytes: number;
  readonly rx_bytes: number;
}

const TALK_MS = 20_000;
const DATA_DIRECTORY = new URL("../data/demo", import.meta.url).pathname;

async function demo(): Promise<boolean> {
  await removeIfPresent(DATA_DIRECTORY);
  await Deno.mkdir(DATA_DIRECTORY, { recursive: true });
  const rules = `${DATA_DIRECTORY}/agent.json`;
  await Deno.writeTextFile(rules, JSON.stringify(SERVICE_RULES));

  console.log("1/4 starting the agent (eBPF) and the collector");
  const chain = await Chain.start({
    dataDirectory: DATA_DIRECTORY,
    windowS: null,
    agentArguments: ["--config", rules],
    onProblem: (line) => console.error(line),
  });
  console.log(`2/4 client -> web -> api -> database talk over loopback, IPv4 and IPv6, for ${TALK_MS / 1_000} s`);
  const counted = await runDemoApp(TALK_MS).finally(() => console.log("3/4 stopping: agent -> collector -> topic -> lake"));
  const { agent, collector } = await chain.stop();
  console.log("4/4 asking the lake\n");
  const lake = ["--lake", lakePath({ dataDirectory: DATA_DIRECTORY })];
  console.log(await jobOutput(["run", "dependency-graph", ...lake, "--format", "table"]));
  const edges = JSON.parse(await jobOutput(["run", "dependency-graph", ...lake, "--format", "json"])) as Edge[];
  const edgesAgree = printComparison(counted, edges);
  const nothingLost = printLedger(agent, collector);
  const report = `${DATA_DIRECTORY}/report.html`;
  await jobOutput(["report", ...lake, "--output", report]);
  console.log(`\nreport: ${report}`);
  console.log(`ask more: deno task jobs sql 'select * from flow limit 10' --lake ${lakePath({ dataDirectory: DATA_DIRECTORY })}`);
  return edgesAgree && nothingLost;
}

/** Prints each edge as the application counted it and as the lake has it; true if every figure is equal. */
function printComparison(counted: readonly CountedEdge[], edges: readonly Edge[]): boolean {
  console.log("\neach edge, as the processes counted it and as Skyfall saw it:\n");
  let allAgree = true;
  for (const edge of counted) {
    const seen = edges.find((e) =>
      e.client_service === edge.client && e.server_service === edge.server && e.server_port === edge.server_port
    );
    const figures = (["connections", "tx_bytes", "rx_bytes"] as const).map((figure) => ({
      figure,
      expected: edge[figure],
      actual: seen?.[figure],
    }));
    const agree = figures.every(({ expected, actual }) => expected === actual);
    allAgree &&= agree;
    const text = figures.map(({ figure, expected, actual }) => `${figure} ${expected} = ${actual ?? "none"}`).join(", ");
    console.log(`  ${agree ? "ok   " : "WRONG"} ${edge.client} -> ${edge.server}: ${text}`);
  }
  const services = new Set<string>(counted.flatMap(({ client, server }) => [client, server]));
  const between = edges.filter((edge) => services.has(edge.client_service) && services.has(edge.server_service));
  const isExact = between.length === counted.length;
  console.log(`  ${isExact ? "ok   " : "WRONG"} edges between these services: ${counted.length} there are, ${between.length} in the graph`);
  return allAgree && isExact;
}

/** Prints what became of every event; true if none is missing. */
function printLedger(agent: Readonly<Record<string, number>>, collector: Readonly<Record<string, number>>): boolean {
  const made = agent["flow_records"]!,
    published = collector["events_published"]!,
    lost = agent["ring_lost_events"]! + agent["map_full_sockets"]!;
  const complete = made === published && lost === 0;
  console.log(
    `\n  ${complete ? "ok   " : "WRONG"} ledger: ${
      agent["kernel_events"]
    } kernel events, ${lost} lost; ${made} flow records made, ${published} in the topic`,
  );
  return complete;
}

async function jobOutput(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await runJob(args);
  if (!success) throw new Error(`Cannot run jobs ${args.join(" ")}: ${stderr}`);
  return stdout.trimEnd();
}

async function removeIfPresent(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

try {
  Deno.exit(await demo() ? 0 : 1);
} catch (error) {
  console.error(error instanceof AggregateError ? error.errors.map(describeError).join("\n") : describeError(error));
  Deno.exit(1);
}
