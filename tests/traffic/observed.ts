/** Runs the traffic under the whole chain and puts, port by port, what the lake says beside what the processes counted. */

import { Chain, type ChainLedgers, lakePath, runJob } from "../../chain/chain.ts";
import type { CountedPlan, TrafficOrder } from "./run.ts";
import { runTraffic } from "./run.ts";

/** What one end of the connections to a port did, as counted or as observed. */
export interface EndFigures {
  readonly connections: number;
  readonly refused: number;
  readonly tx_bytes: number;
  readonly rx_bytes: number;
}

export interface ObservedPlan {
  readonly plan: CountedPlan;
  readonly end: "client" | "server";
  readonly counted: EndFigures;
  /** Null where the lake has no row. */
  readonly observed: EndFigures | null;
}

export interface ObservedTraffic {
  readonly ends: readonly ObservedPlan[];
  readonly ledgers: ChainLedgers;
  readonly lakeEvents: number;
}

type FlowRow = EndFigures & { readonly server_port: number; readonly observer_role: string; readonly network_type: string };

const BY_PORT = `select server_port, observer_role, network_type, sum(connections_opened)::bigint as connections,
  sum(connections_failed_refused)::bigint as refused, sum(bytes_sent)::bigint as tx_bytes, sum(bytes_received)::bigint as rx_bytes
  from flow where server_port in (PORTS) and regexp_matches(coalesce(process_command_line, ''), 'traffic/(client|server)\\.ts')
  group by all`;

/** Starts a chain that keeps everything under `dataDirectory`, runs the traffic, and stops it. */
export async function observeTraffic(order: TrafficOrder, dataDirectory: string, windowS: number): Promise<ObservedTraffic> {
  const problems: string[] = [];
  const chain = await Chain.start({
    dataDirectory,
    windowS,
    // The governor must leave nothing out of what is compared, however fast the traffic.
    agentArguments: ["--interim-interval-ms", "1000", "--cpu-limit-percent", "100", "--metrics-listen", "off"],
    onProblem: (line) => problems.push(line),
  });
  let plans: readonly CountedPlan[] | null = null;
  try {
    plans = await runTraffic(order);
  } finally {
    if (plans === null) await chain.stop();
  }
  const ledgers = await chain.stop();
  if (problems.length > 0) throw new Error(`Cannot trust the chain: it had problems: ${problems.join("\n")}`);
  const rows = await ask<FlowRow>(dataDirectory, BY_PORT.replace("PORTS", plans.map(({ port }) => port).join(", ")));
  const [total] = await ask<{ events: number }>(dataDirectory, "select sum(event_count)::bigint as events from flow");
  return { ends: plans.flatMap((plan) => ends(plan, rows)), ledgers, lakeEvents: total!.events };
}

function ends(plan: CountedPlan, rows: readonly FlowRow[]): ObservedPlan[] {
  return (["client", "server"] as const).filter((end) => end === "client" || plan.kind !== "refused").map((end) => {
    const { connections, refused, sent_bytes, received_bytes } = plan[end];
    const [tx_bytes, rx_bytes] = end === "client" ? [sent_bytes, received_bytes] : [received_bytes, sent_bytes];
    const type = plan.family === "ipv6" ? "ipv6" : "ipv4"; // a mapped address is IPv4
    const row = rows.find((r) => r.server_port === plan.port && r.observer_role === end && r.network_type === type);
    const observed = row === undefined
      ? null
      : { connections: row.connections, refused: row.refused, tx_bytes: row.tx_bytes, rx_bytes: row.rx_bytes };
    return { plan, end, counted: { connections, refused, tx_bytes, rx_bytes }, observed };
  });
}

async function ask<T>(dataDirectory: string, sql: string): Promise<T[]> {
  const { success, stdout, stderr } = await runJob(["sql", sql, "--lake", lakePath({ dataDirectory }), "--format", "json"]);
  if (!success) throw new Error(`Cannot ask the lake: ${stderr}`);
  return JSON.parse(stdout) as T[];
}
