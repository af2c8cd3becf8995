/** `collector run`: workers that receive and aggregate, and one publisher behind them. */

import { assertPortFree } from "../ffi/libc_udp_socket.ts";
import { isMappedIpv4 } from "../lib/ip_address.ts";
import { log } from "../lib/log.ts";
import type { CollectorConfig } from "./config.ts";
import { Publisher } from "./publish.ts";
import { Spool } from "./spool.ts";
import { combine, NO_LOSSES } from "./stream_counts.ts";
import { openTopic } from "./topic_access.ts";
import { type FromWorker, SHARED, SHARED_BYTES, type ToWorker, type WorkerReport } from "./worker_protocol.ts";

/** What became of every datagram and every flow record; `balance` is 0 when nothing is unaccounted for. */
export type CollectorLedger = Readonly<Record<string, number>>;

/** A worker thread, as promises. */
interface RunningWorker {
  readonly bound: Promise<{ readonly port: number; readonly receiveBufferBytes: number }>;
  readonly stopped: Promise<WorkerReport>;
}

/**
 * Collects until `signal` is aborted, then drains the sockets, the tables and the queue.
 *
 * @returns The ledger; rows that could not be stored at the end are in it as `events_unpublished`.
 * @throws {Error} If a socket cannot be bound or the topic cannot be opened.
 */
export async function collect(config: CollectorConfig, signal: AbortSignal): Promise<CollectorLedger> {
  assertPortFree(config.listen.address, config.listen.port, isMappedIpv4(config.listen.address), config.listenText);
  await using spool = config.spoolDirectory === null ? null : await Spool.open(config.spoolDirectory, config.spoolBytesMax);
  await using topic = await openTopic(config.topicUrl, spool?.partitionCount ?? null);
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const flags = new Int32Array(shared);
  if (spool !== null && (!spool.isEmpty || spool.cutBytes > 0)) {
    log("info", "collector", "spool recovered", { ...spool.recovered, cut_bytes: spool.cutBytes });
  }
  const publisher = new Publisher(topic, spool, (blocked) => Atomics.store(flags, SHARED.blocked, blocked ? 1 : 0));

  // The first worker learns the port where any will do; the others share it.
  const start = (port: number) =>
    startWorker({ config: { ...config, listen: { ...config.listen, port } }, partitionCount: topic.partitionCount, shared }, publisher);
  const first = start(config.listen.port);
  const { port, receiveBufferBytes } = await first.bound;
  const others = Array.from({ length: config.workers - 1 }, () => start(port));
  await Promise.all(others.map(({ bound }) => bound));
  const workers = [first, ...others];
  log("info", "collector", "listening", {
    address: config.listenText,
    port,
    workers: workers.length,
    receive_buffer_bytes: receiveBufferBytes,
  });

  const aborted = new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })
  );
  // A worker that fails ends the collector, with what the others have flushed first.
  const failure = await Promise.race([aborted, ...workers.map(({ stopped }) => stopped)]).then(() => null, (error: unknown) => ({ error }));
  Atomics.store(flags, SHARED.stop, 1);
  const reports = (await Promise.allSettled(workers.map(({ stopped }) => stopped))).filter((result) => result.status === "fulfilled").map((
    { value },
  ) => value);
  await publisher.finish();
  const ledger = ledgerOf(reports, publisher, spool);
  if (failure !== null) throw new Error(`Cannot go on: a worker failed; ledger ${JSON.stringify(ledger)}`, { cause: failure.error });
  return ledger;
}

function startWorker(message: ToWorker, publisher: Publisher): RunningWorker {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const bound = Promise.withResolvers<{ port: number; receiveBufferBytes: number }>();
  const stopped = Promise.withResolvers<WorkerReport>();
  const fail = (error: Error) => (bound.reject(error), stopped.reject(error));
  stopped.promise.catch(() => {}); // awaited later; a failure to bind is told by `bound` first
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === "bound") bound.resolve(data);
    else if (data.kind === "messages") publisher.add(data.messages);
    else if (data.kind === "stopped") stopped.resolve(data.report);
    else fail(new Error(data.error));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(new Error(event.message));
  };
  worker.postMessage(message);
  return { bound: bound.promise, stopped: stopped.promise };
}

function ledgerOf(reports: readonly WorkerReport[], publisher: Publisher, spool: Spool | null): CollectorLedger {
  const sum = (of: (report: WorkerReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  const received = sum((r) => r.counts.flow_records_received), refused = sum((r) => r.counts.flow_records_refused);
  const givenUp = sum((r) => r.table.dropped_events), published = publisher.counts;
  const unpublished = publisher.waiting().events, spooled = publisher.spooledEvents;
  const fromBefore = published.events_recovered - published.events_found_published;
  return {
    datagrams_received: sum((r) => r.counts.datagrams_received),
    datagrams_lost: sum((r) => r.streams.lost),
    datagrams_duplicated: sum((r) => r.counts.datagrams_duplicated),
    datagrams_reordered: sum((r) => r.streams.reordered),
    datagrams_malformed: sum((r) => r.counts.datagrams_malformed),
    datagrams_stale: sum((r) => r.streams.stale),
    streams_evicted: sum((r) => r.evictedStreams),
    socket_dropped_datagrams: sum((r) => r.socketDroppedDatagrams),
    agents_restarted: sum((r) => r.streams.restarted),
    agent_dropped_events: sum((r) => r.streams.agentDrops),
    ...agentLosses(reports),
    agent_unreconciled_connections: sum((r) => r.streams.agentUnreconciled),
    samples_ignored: sum((r) => r.counts.samples_ignored),
    mirror_samples_ignored: sum((r) => r.counts.mirror_samples_ignored),
    records_ignored: sum((r) => r.counts.records_ignored),
    descriptors_refused: sum((r) => r.counts.descriptors_refused),
    flow_records_received: received,
    listener_records_received: sum((r) => r.counts.listener_records_received),
    flow_records_missing: Math.max(0, sum((r) => r.streams.missingRecords)), // told by the agent before the next sample
    flow_records_refused: refused,
    flow_records_unknown_process: sum((r) => r.counts.flow_records_unknown_process),
    events_given_up: givenUp,
    bytes_given_up: sum((r) => r.table.dropped_bytes),
    events_simplified: sum((r) => r.table.simplified_events),
    events_folded_prefix: sum((r) => r.table.folded_prefix_events),
    events_folded_scan: sum((r) => r.table.folded_scan_events),
    events_folded_client: sum((r) => r.table.folded_client_events),
    events_late: sum((r) => r.table.late_events),
    identity_rounds: sum((r) => r.identityRounds),
    rows_early: sum((r) => r.earlyRows),
    conversations_both: sum((r) => r.pairs.conversations_both),
    conversations_client_only: sum((r) => r.pairs.conversations_client_only),
    conversations_server_only: sum((r) => r.pairs.conversations_server_only),
    bytes_disagreements: sum((r) => r.pairs.bytes_disagreements),
    events_published: published.events_published,
    rows_published: published.rows_published,
    messages_published: published.messages_published,
    bytes_published: published.bytes_published,
    publish_failures: published.publish_failures,
    events_recovered: published.events_recovered,
    events_found_published: published.events_found_published,
    events_spooled: spooled,
    spool_bytes: spool?.bytes ?? 0,
    spool_cut_bytes: spool?.cutBytes ?? 0,
    spool_failures: spool?.failures ?? 0,
    events_unpublished: unpublished,
    balance: received + fromBefore - refused - givenUp - published.events_published - spooled - unpublished,
  };
}

/** What the agents lost, by place. */
function agentLosses(reports: readonly WorkerReport[]): CollectorLedger {
  const total = reports.reduce((sum, { streams }) => combine(sum, streams.agentLosses, (a, b) => a + b), NO_LOSSES);
  return Object.fromEntries(Object.entries(total).map(([place, lost]) => [`agent_${place}`, lost]));
}
