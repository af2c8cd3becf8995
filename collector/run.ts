/** `collector run`: workers that receive and aggregate, and one publisher behind them. */

import { assertPortFree } from "../ffi/libc_udp_socket.ts";
import { isMappedIpv4 } from "../lib/ip_address.ts";
import { log } from "../lib/log.ts";
import { openProducer } from "../lib/topic/open.ts";
import type { CollectorConfig } from "./config.ts";
import type { CollectorLedger } from "./ledger.ts";
import { serveStatus } from "./metrics.ts";
import { Publisher } from "./publish.ts";
import { CollectorStatus } from "./status.ts";
import { type FromWorker, SHARED, SHARED_BYTES, type ToWorker } from "./worker_protocol.ts";

/** A worker thread, as promises. */
interface RunningWorker {
  readonly bound: Promise<{ readonly port: number; readonly receiveBufferBytes: number }>;
  readonly stopped: Promise<void>;
}

/**
 * Collects until `signal` is aborted, then drains the sockets, the tables and the queue.
 *
 * @returns The ledger; rows that could not be stored at the end are in it as `events_unpublished`.
 * @throws {Error} If a socket cannot be bound or the topic cannot be opened.
 */
export async function collect(config: CollectorConfig, signal: AbortSignal): Promise<CollectorLedger> {
  assertPortFree(config.listen.address, config.listen.port, isMappedIpv4(config.listen.address), config.listenText);
  await using producer = await openProducer(config.topicUrl);
  const shared = new SharedArrayBuffer(SHARED_BYTES);
  const flags = new Int32Array(shared);
  const publisher = new Publisher(producer, (blocked) => Atomics.store(flags, SHARED.blocked, blocked ? 1 : 0));
  const status = new CollectorStatus(config.workers, publisher, shared, performance.now());

  // The first worker learns the port where any will do; the others share it.
  const start = (worker: number, port: number) =>
    startWorker(
      worker,
      { config: { ...config, listen: { ...config.listen, port } }, partitionCount: producer.partitionCount, shared },
      publisher,
      status,
    );
  const first = start(0, config.listen.port);
  const { port, receiveBufferBytes } = await first.bound;
  const others = Array.from({ length: config.workers - 1 }, (_, i) => start(i + 1, port));
  await Promise.all(others.map(({ bound }) => bound));
  const workers = [first, ...others];
  log("info", "collector", "listening", {
    address: config.listenText,
    port,
    workers: workers.length,
    receive_buffer_bytes: receiveBufferBytes,
  });
  await using _server = serveStatus(config.metricsListen, status);

  const aborted = new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })
  );
  // A worker that fails ends the collector, with what the others have flushed first.
  const failure = await Promise.race([aborted, ...workers.map(({ stopped }) => stopped)]).then(() => null, (error: unknown) => ({ error }));
  Atomics.store(flags, SHARED.stop, 1);
  await Promise.allSettled(workers.map(({ stopped }) => stopped));
  await publisher.finish();
  const ledger = status.ledger();
  if (failure !== null) throw new Error(`Cannot go on: a worker failed; ledger ${JSON.stringify(ledger)}`, { cause: failure.error });
  return ledger;
}

function startWorker(index: number, message: ToWorker, publisher: Publisher, status: CollectorStatus): RunningWorker {
  // The package holds bundles.
  const file = import.meta.url.endsWith(".js") ? "./worker.js" : "./worker.ts";
  const worker = new Worker(new URL(file, import.meta.url), { type: "module" });
  const bound = Promise.withResolvers<{ port: number; receiveBufferBytes: number }>();
  const stopped = Promise.withResolvers<void>();
  const fail = (error: Error) => (bound.reject(error), stopped.reject(error));
  stopped.promise.catch(() => {}); // awaited later; a failure to bind is told by `bound` first
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    switch (data.kind) {
      case "bound":
        return bound.resolve(data);
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
  return { bound: bound.promise, stopped: stopped.promise };
}
