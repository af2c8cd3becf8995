/** `collector run`: workers that receive and aggregate, and one publisher behind them. */

import { formatAddressRange } from "../lib/ip_address.ts";
import { log } from "../lib/log.ts";
import type { CollectorConfig, ReloadedConfig } from "./config.ts";
import type { CollectorLedger } from "./ledger.ts";
import { serveStatus } from "./metrics.ts";
import { Publisher } from "./publish.ts";
import { CollectorSockets } from "./sockets.ts";
import { Spool } from "./spool.ts";
import { CollectorStatus } from "./status.ts";
import { openTopic } from "./topic_access.ts";
import { type FromWorker, SHARED, SHARED_BYTES, STOP, type ToWorker } from "./worker_protocol.ts";

/** A worker thread, as promises. */
interface RunningWorker {
  readonly receiving: Promise<void>;
  readonly stopped: Promise<void>;
}

/**
 * Collects until `signal` is aborted, then drains the sockets, the tables and the queue.
 *
 * @param onRunning Is given what puts other settings of who may send into force.
 * @returns The ledger; rows that could not be stored at the end are in it as `events_unpublished`.
 * @throws {Error} If a socket cannot be bound or the topic cannot be opened.
 */
export async function collect(
  config: CollectorConfig,
  signal: AbortSignal,
  onRunning: (admit: (config: ReloadedConfig) => Promise<void>) => void,
): Promise<CollectorLedger> {
  using sockets = new CollectorSockets(config);
  await using spool = config.spoolDirectory === null ? null : await Spool.open(config.spoolDirectory, config.spoolBytesMax);
  await using topic = await openTopic(config.topicUrl, spool?.partitionCount ?? null);
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const flags = new Int32Array(shared);
  if (spool !== null && (!spool.isEmpty || spool.cutBytes > 0)) {
    log("info", "collector", "spool recovered", { ...spool.recovered, cut_bytes: spool.cutBytes });
  }
  const publisher = new Publisher(topic, spool, (blocked) => Atomics.store(flags, SHARED.blocked, blocked ? 1 : 0));
  const status = new CollectorStatus(config.workers, publisher, spool, shared, performance.now());

  const workers = sockets.sockets.map(({ fd }, i) =>
    startWorker(i, { config, fd, partitionCount: topic.partitionCount, shared }, publisher, status)
  );
  await Promise.all(workers.map(({ receiving }) => receiving));
  log("info", "collector", "listening", {
    address: config.listenText,
    port: sockets.port,
    workers: workers.length,
    receive_buffer_bytes: Math.min(...sockets.sockets.map(({ receiveBufferBytes }) => receiveBufferBytes)),
    taken_over_sockets: sockets.takenOver,
  });
  onRunning((reloaded) => admit(status, reloaded));
  await using _server = serveStatus(config.metricsListen, status);

  const aborted = new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })
  );
  // A worker that fails ends the collector, with what the others have flushed first.
  const failure = await Promise.race([aborted, ...workers.map(({ stopped }) => stopped)]).then(() => null, (error: unknown) => ({ error }));
  Atomics.store(flags, SHARED.stop, sockets.isTakenOver ? STOP.drain : STOP.leave);
  await Promise.allSettled(workers.map(({ stopped }) => stopped));
  sockets[Symbol.dispose](); // agents are to know at once that nobody reads, however long the topic takes
  await publisher.finish();
  const ledger = status.ledger();
  if (failure !== null) throw new Error(`Cannot go on: a worker failed; ledger ${JSON.stringify(ledger)}`, { cause: failure.error });
  return ledger;
}

/** Resolves when every worker goes by the settings. */
async function admit(status: CollectorStatus, { allowed, sourceLimit, keysText }: ReloadedConfig): Promise<void> {
  await status.ask({ kind: "admit", allowed: allowed.map(formatAddressRange), sourceLimit, keysText });
}

function startWorker(index: number, message: ToWorker, publisher: Publisher, status: CollectorStatus): RunningWorker {
  // The package holds bundles.
  const file = import.meta.url.endsWith(".js") ? "./worker.js" : "./worker.ts";
  const worker = new Worker(new URL(file, import.meta.url), { type: "module" });
  const receiving = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  const fail = (error: Error) => (receiving.reject(error), stopped.reject(error));
  stopped.promise.catch(() => {}); // awaited later; a failure to start is told by `receiving` first
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    switch (data.kind) {
      case "receiving":
        return receiving.resolve();
      case "messages":
        status.onMessages(index, data.messages);
        return publisher.add(data.messages);
      case "report":
        return status.onReport(index, data.report, performance.now());
      case "answer":
        return status.onAnswer(index, data.questionNumber, data.answer);
      case "stopped":
        status.onReport(index, data.report, performance.now());
        return stopped.resolve();
      case "failed":
        return fail(new Error(data.error));
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(new Error(event.message));
  };
  worker.postMessage(message);
  return { receiving: receiving.promise, stopped: stopped.promise };
}
