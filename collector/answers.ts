/** A worker's answers to questions about itself. */

import { keysOf } from "../lib/keys.ts";
import { agentOf, mergeAgents } from "./agents.ts";
import { type FlowTable, FOLD, VALUE } from "./aggregate.ts";
import { hashConversation, PORT_SHIFT, TRANSPORT_UDP, UDP_SHIFT } from "./flow_key.ts";
import type { FlowFlusher } from "./flush.ts";
import type { IdentityTable } from "./identities.ts";
import type { Agent, AgentStream, ExplainedRow, Question } from "./question.ts";
import { ROLES } from "./rows.ts";
import type { StreamSnapshot, StreamTable } from "./streams.ts";

const ROWS_MAX = 100;
const PORTS_MAX = 32;
const MINUTE_MS = 60_000;
const MAPPED_HEX = "0".repeat(20) + "ffff";

type ExplainQuestion = Extract<Question, { kind: "explain" }>;

export interface Answer {
  readonly agents: readonly Agent[];
  readonly streams: readonly AgentStream[];
  readonly rows: readonly ExplainedRow[];
  /** When the conversation's rows last left, in milliseconds since 1970 UTC; null where that is not known. */
  readonly lastLeftMs: number | null;
}

const NOTHING: Answer = { agents: [], streams: [], rows: [], lastLeftMs: null };

/** What a worker has. */
export interface WorkerState {
  readonly table: FlowTable;
  readonly identities: IdentityTable;
  readonly streams: StreamTable;
  readonly flusher: FlowFlusher;
}

export function answer(question: Question, state: WorkerState, nowMs: number): Answer {
  if (question.kind === "admit") return NOTHING;
  const streams = [...state.streams.snapshots()].map(agentStream);
  if (question.kind === "agents") return { ...NOTHING, agents: mergeAgents(streams.map(agentOf)) };
  const rows = findRows(question, state.table).map((row) => explainRow(row, state, nowMs));
  const reporters = new Set(rows.map(({ observer_address }) => observer_address));
  return {
    agents: [],
    streams: streams.filter(({ agent_address }) => reporters.has(agent_address)),
    rows,
    lastLeftMs: lastLeftMs(question, state.flusher),
  };
}

function agentStream({ agentAddress, subAgentId, counts, lastSeenMs, skewMs }: StreamSnapshot): AgentStream {
  return {
    agent_address: agentAddress,
    sub_agent_id: subAgentId,
    datagrams_received: counts.received,
    datagrams_lost: counts.lost,
    datagrams_duplicated: counts.duplicated,
    datagrams_reordered: counts.reordered,
    restarts: counts.restarted,
    flow_records_missing: counts.missingRecords,
    agent_dropped_events: counts.agentDrops,
    last_seen: new Date(lastSeenMs).toISOString(),
    clock_skew_ms: skewMs,
  };
}

/** Of TCP or UDP, the later. */
function lastLeftMs({ client, server, serverPort }: ExplainQuestion, { lastFlushes }: FlowFlusher): number | null {
  const addresses = new DataView(Uint8Array.fromHex(client + server).buffer);
  const words = Uint32Array.from({ length: 8 }, (_, word) => addresses.getUint32(4 * word));
  const times = [0, 1].map((udp) => lastFlushes.find(hashConversation(serverPort << PORT_SHIFT | udp << UDP_SHIFT, words, 0, 4)) ?? 0);
  return Math.max(...times) || null;
}

/** Rows of the conversation, and those that it may have been folded into. */
function findRows({ client, server, serverPort }: ExplainQuestion, table: FlowTable): number[] {
  const found: number[] = [];
  for (const row of table.rows()) {
    const level = table.foldLevel(row);
    if (level !== FOLD.scan && (table.serverPort(row) !== serverPort || hexOf((out) => table.copyServer(row, out, 0)) !== server)) continue;
    const prefix = level === FOLD.anyClient ? 0 : level === FOLD.clientPrefix ? prefixDigits(client) : client.length;
    if (hexOf((out) => table.copyClient(row, out, 0)).slice(0, prefix) !== client.slice(0, prefix)) continue;
    if (found.push(row) === ROWS_MAX) break;
  }
  return found;
}

/** Digits of a client's address that folding leaves: /24 of IPv4, /64 of IPv6. */
function prefixDigits(client: string): number {
  return client.startsWith(MAPPED_HEX) ? 30 : 16;
}

function hexOf(copy: (out: DataView) => void): string {
  const bytes = new Uint8Array(16);
  copy(new DataView(bytes.buffer));
  return bytes.toHex();
}

function explainRow(row: number, { table, identities, flusher }: WorkerState, nowMs: number): ExplainedRow {
  const process = identities.get(table.value(row, VALUE.identity));
  const ports = new Int32Array(table.storedPortCount(row));
  table.copyPorts(row, ports, 0);
  return {
    network_transport: table.transport(row) === TRANSPORT_UDP ? "udp" : "tcp",
    observer_role: ROLES[table.role(row)] ?? "unknown",
    observer_address: process.host.address,
    observer_host_name: process.host.hostName,
    service_name: process.serviceName,
    process_executable_name: process.executableName,
    flow_source: process.flowSource,
    sampling_rate: process.samplingRate,
    fold_level: table.foldLevel(row),
    minute: new Date(table.minute(row) * MINUTE_MS).toISOString(),
    leaves_at: new Date(flusher.leavesAtMs(row, nowMs)).toISOString(),
    client_ports: [...ports.subarray(0, PORTS_MAX)],
    client_port_count: table.portCount(row),
    values: Object.fromEntries(keysOf(VALUE).map((name) => [name, table.value(row, VALUE[name])])),
  };
}

/** The question about a conversation, by its addresses of 16 bytes. */
export function explainQuestion(client: Uint8Array, server: Uint8Array, serverPort: number): Question {
  return { kind: "explain", client: client.toHex(), server: server.toHex(), serverPort };
}
