/** The agent's counters and gauges for Prometheus, at /metrics on a loopback port. */

import { Counter, Gauge, Registry } from "prom-client";
import { formatAddress, type HostPort } from "../lib/ip_address.ts";
import { describeError, log } from "../lib/log.ts";
import type { Losses } from "./losses.ts";
import type { AgentGauges, AgentLedger } from "./accounts.ts";
import type { Reconciliation } from "./reconcile.ts";

/** What is served: read anew for each scrape. */
export interface MetricsSource {
  ledger(): AgentLedger;
  readonly reconciliation: Pick<Reconciliation, "differences" | "totals">;
  gauges(): AgentGauges;
}

/** Every counter of the ledger, by its name there. */
const COUNTER_HELP: Readonly<Record<keyof AgentLedger, string>> = {
  kernel_events: "Events that the kernel programs wanted to report",
  ring_lost_events: "Kernel events lost because the ring buffer was full",
  map_full_sockets: "Sockets not followed because a kernel map was full",
  flow_records: "Flow records made",
  send_lost_records: "Flow records lost because they could not be sent",
  missed_hook_runs: "Calls of kernel hooks at which no program ran; each may have cost a flow",
  dropped_events: "Events lost at all places together: drops of the datagrams",
  opened_connections: "Connections that were established",
  ended_connections: "Connections that ended",
  unattributed_connections: "Connections that ended with their process unknown",
  sent_datagrams: "Datagrams handed to the network",
  lost_datagrams: "Datagrams that could not be sent, or had no collector",
  refused_datagrams: "Datagrams that found no collector listening",
  resolve_failures: "Attempts to find the collector that failed",
  governor_dropped_flows: "Ends of TCP connections, and UDP flows, left out by the governor; counted in the datagrams as drops",
  governor_step_changes: "Times that the governor changed its step",
  self_tests: "Self-tests since the start, which had its own",
  self_test_failures: "Self-tests in which a field was wrong",
  udp_flows: "UDP flows begun: a socket, a peer and a process in one period",
  udp_map_full_datagrams: "UDP datagrams counted without their peer, because the map of flows was full",
  udp_lost_datagrams: "UDP datagrams not counted, because there was no room for their socket either",
  udp_lost_bytes: "Bytes of those datagrams",
  udp_missed_calls: "UDP calls that no program counted, as another ran on that processor",
  udp_peer_unknown_datagrams: "UDP datagrams whose peer no program could see",
};

/** Losses of the ledger, by what the label `place` says of them. */
const PLACES: Readonly<Record<keyof Losses, string>> = {
  ring_lost_events: "ring",
  map_full_sockets: "map_full",
  missed_hook_runs: "missed_hook",
  udp_lost_datagrams: "udp_map_full",
  udp_missed_calls: "udp_missed_call",
  governor_dropped_flows: "governor",
  send_lost_records: "send",
};

const GAUGE_HELP: Readonly<Record<keyof AgentGauges, string>> = {
  live_sockets: "Open TCP sockets that are followed",
  governor_step: "Step of the governor: 0 while everything is reported",
  cpu_percent: "Processor time of the agent's process and kernel programs in the governor's last window, in percent of one core",
  kernel_percent: "Of that, the kernel programs', as last measured; NaN where the kernel does not tell",
};

/** A registry, and what reads the source's values into it: once for a scrape, as each reading asks the kernel. */
interface Metrics {
  readonly registry: Registry;
  readonly update: () => void;
}

function metricsOf(source: MetricsSource): Metrics {
  const registry = new Registry(), registers = [registry];
  const counters = keysOf(COUNTER_HELP).map((name) =>
    [name, new Counter({ name: `skyfall_agent_${name}_total`, help: COUNTER_HELP[name], registers })] as const
  );
  const lost = new Counter({
    name: "skyfall_agent_lost_total",
    help: "Events lost, by place: a flow each where the place is governor or send, elsewhere at most a flow",
    labelNames: ["place"],
    registers,
  });
  const gauges = keysOf(GAUGE_HELP).map((name) =>
    [name, new Gauge({ name: `skyfall_agent_${name}`, help: GAUGE_HELP[name], registers })] as const
  );
  const updateReconciliation = registerReconciliation(registry, source.reconciliation);
  const update = () => {
    const ledger = source.ledger(), now = source.gauges();
    for (const [name, counter] of counters) {
      const value = ledger[name];
      counter.reset();
      if (value !== undefined) counter.inc(value);
    }
    lost.reset();
    for (const name of keysOf(PLACES)) lost.inc({ place: PLACES[name] }, ledger[name]);
    for (const [name, gauge] of gauges) gauge.set(now[name]);
    updateReconciliation();
  };
  return { registry, update };
}

/** Fields of a difference, each a gauge. */
const RECONCILIATION_HELP = {
  kernel: "Connections that the kernel counted since the agent first saw the namespace (proc(5), net/snmp)",
  present: "Connections that the kernel counted and the agent did not, at the last reading that is complete",
  persistent: "What the last 16 readings of that difference have in common: what the agent missed, or counts otherwise",
} as const;
const RECONCILIATION_NAMES = {
  kernel: "skyfall_agent_reconciliation_kernel_count",
  present: "skyfall_agent_reconciliation_difference",
  persistent: "skyfall_agent_reconciliation_persistent_difference",
} as const;

/** Returns what updates them. */
function registerReconciliation(registry: Registry, reconciliation: MetricsSource["reconciliation"]): () => void {
  const registers = [registry], labelNames = ["network_namespace", "counter"] as const;
  const gauges = keysOf(RECONCILIATION_HELP).map((name) =>
    [name, new Gauge({ name: RECONCILIATION_NAMES[name], help: RECONCILIATION_HELP[name], labelNames, registers })] as const
  );
  const leftOut = new Gauge({
    name: "skyfall_agent_reconciliation_namespaces_left_out",
    help: "Network namespaces with TCP sockets that are not reconciled: too many, or not to be read",
    registers,
  });
  return () => {
    const differences = reconciliation.differences();
    for (const [name, gauge] of gauges) {
      gauge.reset();
      for (const { network_namespace, counter, [name]: value } of differences) gauge.set({ network_namespace, counter }, value);
    }
    leftOut.set(reconciliation.totals().network_namespaces_left_out);
  };
}

/**
 * Serves the metrics until disposed of. Where the port cannot be had, that is logged and the agent goes on without: to
 * observe matters more.
 */
export class MetricsServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr> | null;

  constructor(listen: HostPort | null, source: MetricsSource) {
    this.#server = listen === null ? null : serve(listen, metricsOf(source));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.shutdown();
  }
}

function serve({ address, port }: HostPort, metrics: Metrics): Deno.HttpServer<Deno.NetAddr> | null {
  const hostname = formatAddress(address);
  try {
    return Deno.serve({
      hostname,
      port,
      onListen: ({ port }) => log("info", "agent", "serving metrics", { address: hostname, port }),
    }, (request) => answer(request, metrics));
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.AddrNotAvailable)) throw error;
    log("warn", "agent", "metrics are not served", { error: describeError(error), address: hostname, port });
    return null;
  }
}

async function answer(request: Request, { registry, update }: Metrics): Promise<Response> {
  if (new URL(request.url).pathname !== "/metrics") return new Response("see /metrics\n", { status: 404 });
  update();
  return new Response(await registry.metrics(), { headers: { "content-type": registry.contentType } });
}

function keysOf<K extends string>(record: Readonly<Record<K, string>>): K[] {
  const isKey = (name: string): name is K => Object.hasOwn(record, name);
  return Object.keys(record).filter(isKey);
}
