/** One worker: a socket, its table, and the messages that leave it. Runs as a Deno Worker; see main.ts for the other side. */

import { adviseHugePages } from "../ffi/libc_huge_pages.ts";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { UdpSocket } from "../ffi/libc_udp_socket.ts";
import { openHmacSha256 } from "../ffi/libcrypto.ts";
import { parseAddressRange } from "../lib/ip_address.ts";
import { describeError } from "../lib/log.ts";
import { parseKeys, type SharedKey } from "../lib/sflow/authentication.ts";
import { encodeLeave } from "../lib/sflow/leave.ts";
import { Admission, type AdmissionRules } from "./admission.ts";
import { AgentSources } from "./agent_sources.ts";
import { FlowTable } from "./aggregate.ts";
import { answer } from "./answers.ts";
import { FlowFlusher } from "./flush.ts";
import { IdentityTable } from "./identities.ts";
import { LossTeller } from "./loss_teller.ts";
import type { Question } from "./question.ts";
import { QuestionReader } from "./question_board.ts";
import { FlowReceiver } from "./receive.ts";
import { EXPECTED_DATAGRAMS_MAX } from "./streams.ts";
import { type FromWorker, REPORT_INTERVAL_MS, SHARED, STOP, type ToWorker, type WorkerReport } from "./worker_protocol.ts";

/**
 * Rounds of `receive()` without a datagram, each up to 100 ms, after which a stopping worker is done; and where it has told
 * agents to send elsewhere: they look once a second, before they send.
 */
const QUIET_ROUNDS = 2, QUIET_ROUNDS_LEAVING = 15;
/** A worker whose agents never pause stops after so long all the same. */
const DRAIN_MS_MAX = 4_000;

/**
 * After a call that brought few datagrams a worker waits for more, as a call costs as much as a datagram does; not where the
 * receive buffer is too small to hold a burst meanwhile.
 */
const FEW_DATAGRAMS = 24, GATHER_MS = 2, GATHER_BUFFER_BYTES_MIN = 4 * 1024 * 1024;

/** An sFlow datagram's, of an agent with an IPv4 address. */
const HEADER_BYTES = 28;

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

function run({ config, fd, partitionCount, shared }: ToWorker): void {
  const flags = new Int32Array(shared);
  const socket = new UdpReceiver(UdpSocket.of(fd)), data = new Uint8Array(socket.view.buffer), source = new Uint32Array(4);
  let keys = keysOf(config.keysText);
  const admission = new Admission({ ...config, keys });
  const agents = new AgentSources((to) => {
    for (const leave of encodeLeave(keys, to, Date.now() * 1_000)) socket.socket.send(leave, to.address, to.port); // told again if need be
  });
  const table = new FlowTable(config.tableRows, config.windowS, partitionCount);
  const identities = new IdentityTable();
  const flusher = new FlowFlusher(table, identities, config.windowS, partitionCount, {
    isBlocked: () => Atomics.load(flags, SHARED.blocked) === 1,
    format: config.format,
    takeLosses: (nowMs, isLast) => losses.take(nowMs, isLast),
    onMessages: (messages) => post({ kind: "messages", messages }, [...new Set(messages.map(({ value }) => value.buffer))]),
  });
  const receiver = new FlowReceiver(table, identities, config.enterprise, () => flusher.forgetIdentities());
  const losses = new LossTeller(receiver.streams, Date.now());
  [...table.buffers, ...identities.buffers, ...receiver.streams.buffers].forEach(adviseHugePages);
  const questions = new QuestionReader(shared), starts = new Int32Array(EXPECTED_DATAGRAMS_MAX);
  const state = { table, identities, streams: receiver.streams, flusher };
  post({ kind: "receiving" });

  const gathers = socket.socket.receiveBufferBytes >= GATHER_BUFFER_BYTES_MIN;
  let deadlineMs = Infinity, reportMs = 0, quietRounds = QUIET_ROUNDS;
  for (let quiet = 0; quiet < quietRounds && Date.now() < deadlineMs;) {
    const count = socket.receive();
    const receivedMs = receiver.streams.nowMs = Date.now();
    table.nowUs = receivedMs * 1_000;
    expectAll(receiver, socket, count, starts);
    for (let i = 0; i < count; i++) {
      socket.copySource(i, source);
      if (!admission.admits(source, data, i * SLOT_BYTES, socket.bytes(i), socket.receivedUnixMs(i))) continue;
      agents.note(source, socket.sourcePort(i), socket.view, i * SLOT_BYTES, socket.bytes(i), receivedMs);
      receiver.read(socket.view, i * SLOT_BYTES, socket.bytes(i), socket.isTruncated(i));
    }
    receiver.addFlows();
    const nowMs = Date.now();
    flusher.flushDue(nowMs);
    if (nowMs >= reportMs) {
      post({ kind: "report", report: reportOf(receiver, admission, table, flusher, socket, agents) });
      reportMs = nowMs + REPORT_INTERVAL_MS;
    }
    const asked = questions.next();
    if (asked?.question.kind === "admit") {
      keys = keysOf(asked.question.keysText);
      admission.setRules({ ...rulesOf(asked.question), keys, enterprise: config.enterprise });
    }
    if (asked !== null) post({ kind: "answer", questionNumber: asked.questionNumber, answer: answer(asked.question, state, nowMs) });
    if (gathers && count > 0 && count < FEW_DATAGRAMS) Atomics.wait(flags, SHARED.stop, STOP.no, GATHER_MS);
    const stop = Atomics.load(flags, SHARED.stop);
    if (stop !== STOP.no && deadlineMs === Infinity) {
      deadlineMs = nowMs + DRAIN_MS_MAX;
      if (stop === STOP.leave) agents.leave(nowMs);
      if (agents.told > 0) quietRounds = QUIET_ROUNDS_LEAVING;
    }
    quiet = stop !== STOP.no && count === 0 ? quiet + 1 : 0;
  }
  flusher.flushAll(true);
  post({ kind: "stopped", report: reportOf(receiver, admission, table, flusher, socket, agents) });
}

/** Lets the receiver reach for what the datagrams of one call will need. */
function expectAll(receiver: FlowReceiver, socket: UdpReceiver, count: number, starts: Int32Array): void {
  let expected = 0;
  for (let i = 0; i < count && expected < starts.length; i++) {
    if (socket.bytes(i) >= HEADER_BYTES) starts[expected++] = i * SLOT_BYTES;
  }
  receiver.expect(socket.view, starts, expected);
}

function rulesOf({ allowed, sourceLimit }: Extract<Question, { kind: "admit" }>): Pick<AdmissionRules, "allowed" | "sourceLimit"> {
  return { allowed: allowed.map(parseAddressRange), sourceLimit };
}

function keysOf(keysText: string | null): SharedKey[] {
  return keysText === null ? [] : parseKeys(keysText, openHmacSha256() ?? undefined);
}

function reportOf(
  receiver: FlowReceiver,
  admission: Admission,
  table: FlowTable,
  flusher: FlowFlusher,
  socket: UdpReceiver,
  agents: AgentSources,
): WorkerReport {
  return {
    counts: receiver.counts,
    refusals: admission.counts,
    streams: receiver.streams.counts(),
    socketDroppedDatagrams: socket.droppedDatagrams,
    evictedStreams: receiver.streams.evictedStreams,
    leavesSent: agents.told,
    table: table.counts,
    pairs: flusher.pairs,
    earlyRows: flusher.earlyRows,
    identityRounds: flusher.identityRounds,
    tableRows: table.rowCount,
    tableRowsMax: table.rowsMax,
    tableEvents: table.eventCount,
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
