/** One worker: a socket, its table, and the messages that leave it. Runs as a Deno Worker; see main.ts for the other side. */

import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_socket.ts";
import { isMappedIpv4 } from "../lib/ip_address.ts";
import { describeError } from "../lib/log.ts";
import { FlowTable } from "./aggregate.ts";
import { TABLE_ROWS } from "./config.ts";
import { FlowFlusher } from "./flush.ts";
import { IdentityTable } from "./identities.ts";
import { FlowReceiver } from "./receive.ts";
import { type FromWorker, SHARED, type ToWorker, type WorkerReport } from "./worker_protocol.ts";

/** Rounds of `receive()` without a datagram, each up to 100 ms, after which a stopping worker is done. */
const QUIET_ROUNDS = 2;
/** A worker whose agents never pause stops after so long all the same. */
const DRAIN_MS_MAX = 3_000;

/** What the global object of a worker has; Deno's types describe that of a page. */
interface WorkerScope {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  onmessage: (event: MessageEvent<ToWorker>) => void;
  close(): void;
}
const scope = self as unknown as WorkerScope;

function post(message: FromWorker, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

function run({ config, partitionCount, shared }: ToWorker): void {
  const flags = new Int32Array(shared);
  using socket = new UdpReceiver(config.listen.address, config.listen.port, isMappedIpv4(config.listen.address), config.listenText);
  const table = new FlowTable(TABLE_ROWS, config.windowS);
  const identities = new IdentityTable();
  const flusher = new FlowFlusher(table, identities, config.windowS, partitionCount, {
    isBlocked: () => Atomics.load(flags, SHARED.blocked) === 1,
    format: config.format,
    onMessages: (messages) => post({ kind: "messages", messages }, [...new Set(messages.map(({ value }) => value.buffer))]),
  });
  const receiver = new FlowReceiver(table, identities, config.enterprise, () => flusher.forgetIdentities());
  post({ kind: "bound", port: socket.port, receiveBufferBytes: socket.receiveBufferBytes });

  let deadlineMs = Infinity;
  for (let quiet = 0; quiet < QUIET_ROUNDS && Date.now() < deadlineMs;) {
    const count = socket.receive();
    table.nowUs = Date.now() * 1_000;
    receiver.streams.nowMs = Date.now();
    for (let i = 0; i < count; i++) receiver.receive(socket.view, i * SLOT_BYTES, socket.bytes(i), socket.isTruncated(i));
    flusher.flushDue(Date.now());
    const stopping = Atomics.load(flags, SHARED.stop) === 1;
    if (stopping && deadlineMs === Infinity) deadlineMs = Date.now() + DRAIN_MS_MAX;
    quiet = stopping && count === 0 ? quiet + 1 : 0;
  }
  flusher.flushAll();
  post({ kind: "stopped", report: reportOf(receiver, table, flusher, socket) });
}

function reportOf(receiver: FlowReceiver, table: FlowTable, flusher: FlowFlusher, socket: UdpReceiver): WorkerReport {
  return {
    counts: receiver.counts,
    streams: receiver.streams.counts(),
    socketDroppedDatagrams: socket.droppedDatagrams,
    evictedStreams: receiver.streams.evictedStreams,
    table: table.counts,
    pairs: flusher.pairs,
    earlyRows: flusher.earlyRows,
    identityRounds: flusher.identityRounds,
  };
}

scope.onmessage = ({ data }) => {
  try {
    run(data);
  } catch (error) {
    post({ kind: "failed", error: describeError(error) });
  }
  scope.close();
};
