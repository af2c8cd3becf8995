/** What a running collector tells over HTTP, to this host alone: metrics, health, and answers for `top` and `explain`. */

import { type HostPort, parseAddress } from "../lib/ip_address.ts";
import { keysOf } from "../lib/keys.ts";
import { LoopbackServer } from "../lib/loopback_server.ts";
import { MetricSet } from "../lib/prometheus.ts";
import { mergeAgents } from "./agents.ts";
import { explainQuestion } from "./answers.ts";
import { LEDGER } from "./ledger.ts";
import type { Explanation, StatusDocument } from "./question.ts";
import type { CollectorStatus, WorkerStatus } from "./status.ts";

const PORT_MAX = 65_535;

const WORKER_GAUGES = {
  table_rows: { help: "Rows in the worker's table", of: ({ report }: WorkerStatus) => report.tableRows },
  table_rows_max: { help: "Rows that it has room for", of: ({ report }: WorkerStatus) => report.tableRowsMax },
  report_age_seconds: { help: "Time since the worker reported last", of: ({ ageMs }: WorkerStatus) => ageMs / 1_000 },
} as const;

/** Returns the metrics, and what reads the present values into them. */
function metricsOf(status: CollectorStatus): { readonly set: MetricSet; readonly update: () => void } {
  const set = new MetricSet();
  const ledger = keysOf(LEDGER).map((name) => {
    const { kind, help } = LEDGER[name];
    return [
      name,
      kind === "gauge" ? set.gauge(`skyfall_collector_${name}`, help) : set.counter(`skyfall_collector_${name}_total`, help),
    ] as const;
  });
  const setMalformed = set.labelledCounter("skyfall_collector_malformed_total", "Faults of malformed datagrams", ["reason"]);
  const setRefused = set.labelledCounter("skyfall_collector_refused_total", "Flow records refused, by the impossible field", ["field"]);
  const setStandardRefused = set.labelledCounter(
    "skyfall_collector_standard_refused_total",
    "Flow samples of other sFlow agents refused",
    ["reason"],
  );
  const gauges = keysOf(WORKER_GAUGES).map((name) =>
    [WORKER_GAUGES[name].of, set.labelledGauge(`skyfall_collector_${name}`, WORKER_GAUGES[name].help, ["worker"])] as const
  );
  const setDelays = set.labelledGauge(
    "skyfall_collector_flush_delay_seconds",
    "From when rows were to leave until the topic has them, of the last minute's messages",
    ["quantile"],
  );
  const setWaiting = set.gauge("skyfall_collector_topic_waiting_bytes", "Bytes of messages that wait for the topic");
  const setResident = set.gauge("skyfall_collector_resident_bytes", "Memory of the process (proc(5), VmRSS)");
  const update = () => {
    const now = status.ledger(), workers = known(status);
    for (const [name, setEntry] of ledger) setEntry(now[name]);
    setMalformed(byName(workers, "malformed").map(([reason, value]) => ({ labels: { reason }, value })));
    setRefused(byName(workers, "refused").map(([field, value]) => ({ labels: { field }, value })));
    setStandardRefused(byName(workers, "standard_refused").map(([reason, value]) => ({ labels: { reason }, value })));
    for (const [of, setGauge] of gauges) setGauge(workers.map(([worker, told]) => ({ labels: { worker }, value: of(told) })));
    setDelays(status.flushDelays.quantiles(Date.now()).map(({ quantile, delayMs }) => ({ labels: { quantile }, value: delayMs / 1_000 })));
    setWaiting(status.waiting().bytes);
    setResident(Deno.memoryUsage().rss);
  };
  return { set, update };
}

function known(status: CollectorStatus): (readonly [worker: number, WorkerStatus])[] {
  return status.workers(performance.now()).flatMap((told, worker) => told === null ? [] : [[worker, told] as const]);
}

/** Sums of all workers. */
function byName(
  workers: readonly (readonly [number, WorkerStatus])[],
  counts: "malformed" | "refused" | "standard_refused",
): [string, number][] {
  const sums = new Map<string, number>();
  for (const [, { report }] of workers) {
    for (const [name, count] of Object.entries(report.counts[counts])) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return [...sums];
}

/** Serves `/metrics`, `/healthz`, `/status` and `/explain` until disposed of. */
export function serveStatus(listen: HostPort | null, status: CollectorStatus): LoopbackServer {
  const { set, update } = metricsOf(status);
  return new LoopbackServer("collector", listen, {
    "/metrics": async () => {
      update();
      return new Response(await set.text(), { headers: { "content-type": set.contentType } });
    },
    "/healthz": () => {
      const faults = status.faults(performance.now());
      return new Response(faults.length === 0 ? "ok\n" : faults.map((fault) => `${fault}\n`).join(""), {
        status: faults.length === 0 ? 200 : 503,
      });
    },
    "/status": async () => Response.json(await statusDocument(status)),
    "/explain": (query) => explain(query, status),
  });
}

async function statusDocument(status: CollectorStatus): Promise<StatusDocument> {
  const answers = await status.ask({ kind: "agents" });
  const { bytes, events, messages } = status.waiting();
  return {
    time: new Date().toISOString(),
    faults: status.faults(performance.now()),
    ledger: status.ledger(),
    topic: { waiting_bytes: bytes, waiting_events: events, waiting_messages: messages },
    workers: known(status).map(([worker, { report, ageMs }]) => ({
      worker,
      report_age_ms: ageMs,
      datagrams_received: report.counts.datagrams_received,
      flow_records_received: report.counts.flow_records_received,
      socket_dropped_datagrams: report.socketDroppedDatagrams,
      table_rows: report.tableRows,
      table_rows_max: report.tableRowsMax,
      table_events: report.tableEvents,
    })),
    agents: mergeAgents([...answers.values()].flatMap(({ agents }) => agents)),
  };
}

async function explain(query: URLSearchParams, status: CollectorStatus): Promise<Response> {
  const port = Number(query.get("port"));
  let question: ReturnType<typeof explainQuestion>;
  try {
    if (!/^\d{1,5}$/.test(query.get("port") ?? "") || port > PORT_MAX) {
      throw new SyntaxError(`Cannot explain: port "${query.get("port") ?? ""}", needed 0 to ${PORT_MAX}`);
    }
    question = explainQuestion(parseAddress(query.get("client") ?? ""), parseAddress(query.get("server") ?? ""), port);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new Response(`${error.message}\n`, { status: 400 });
  }
  const answers = [...await status.ask(question)];
  const lastLeft = Math.max(0, ...answers.map(([, { lastLeftMs }]) => lastLeftMs ?? 0));
  const explanation: Explanation = {
    time: new Date().toISOString(),
    last_left: lastLeft === 0 ? null : new Date(lastLeft).toISOString(),
    silent_workers: status.workerCount - answers.length,
    rows: answers.flatMap(([worker, { rows }]) => rows.map((row) => ({ worker, ...row }))),
    streams: answers.flatMap(([worker, { streams }]) => streams.map((stream) => ({ worker, ...stream }))),
  };
  return Response.json(explanation);
}
