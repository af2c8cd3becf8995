/** The agent's counters and gauges for Prometheus, at /metrics on a loopback port. */

import type { HostPort } from "../lib/ip_address.ts";
import { keysOf } from "../lib/keys.ts";
import { LoopbackServer } from "../lib/loopback_server.ts";
import { MetricSet } from "../lib/prometheus.ts";
import type { AgentLosses } from "../lib/sflow/agent_losses.ts";
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
  collector_leaves: "Times that a collector said that it is about to stop, and its lanes went elsewhere",
  ignored_answers: "Datagrams from collectors that were not heeded: there is no other one, or the signature is not good",
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
const PLACES: Readonly<Record<keyof AgentLosses, string>> = {
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

/** The metrics, and what reads the source's values into them: once for a scrape, as each reading asks the kernel. */
interface Metrics {
  readonly set: MetricSet;
  readonly update: () => void;
}

function metricsOf(source: MetricsSource): Metrics {
  const set = new MetricSet();
  const counters = keysOf(COUNTER_HELP).map((name) => [name, set.counter(`skyfall_agent_${name}_total`, COUNTER_HELP[name])] as const);
  const setLost = set.labelledCounter(
    "skyfall_agent_lost_total",
    "Events lost, by place: a flow each where the place is governor or send, elsewhere at most a flow",
    ["place"],
  );
  const gauges = keysOf(GAUGE_HELP).map((name) => [name, set.gauge(`skyfall_agent_${name}`, GAUGE_HELP[name])] as const);
  const updateReconciliation = addReconciliation(set, source.reconciliation);
  const update = () => {
    const ledger = source.ledger(), now = source.gauges();
    for (const [name, setCounter] of counters) setCounter(ledger[name] ?? 0);
    setLost(keysOf(PLACES).map((name) => ({ labels: { place: PLACES[name] }, value: ledger[name] })));
    for (const [name, setGauge] of gauges) setGauge(now[name]);
    updateReconciliation();
  };
  return { set, update };
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
function addReconciliation(set: MetricSet, reconciliation: MetricsSource["reconciliation"]): () => void {
  const gauges = keysOf(RECONCILIATION_HELP).map((name) =>
    [name, set.labelledGauge(RECONCILIATION_NAMES[name], RECONCILIATION_HELP[name], ["network_namespace", "counter"])] as const
  );
  const setLeftOut = set.gauge(
    "skyfall_agent_reconciliation_namespaces_left_out",
    "Network namespaces with TCP sockets that are not reconciled: too many, or not to be read",
  );
  return () => {
    const differences = reconciliation.differences();
    for (const [name, setGauge] of gauges) {
      setGauge(differences.map(({ network_namespace, counter, [name]: value }) => ({ labels: { network_namespace, counter }, value })));
    }
    setLeftOut(reconciliation.totals().network_namespaces_left_out);
  };
}

/** Serves the metrics at /metrics until disposed of. */
export function serveMetrics(listen: HostPort | null, source: MetricsSource): LoopbackServer {
  const { set, update } = metricsOf(source);
  return new LoopbackServer("agent", listen, {
    "/metrics": async () => {
      update();
      return new Response(await set.text(), { headers: { "content-type": set.contentType } });
    },
  });
}
