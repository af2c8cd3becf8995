/** `collector top`: a running collector at a glance. */

import type { HostPort } from "../lib/ip_address.ts";
import { agentKey } from "./agents.ts";
import { askCollector } from "./ask.ts";
import { type Agent, StatusDocument } from "./question.ts";

const POLL_MS = 1_000;
const ALTERNATE_SCREEN = "\x1b[?1049h\x1b[?25l", MAIN_SCREEN = "\x1b[?1049l\x1b[?25h";
const HOME = "\x1b[H", END_OF_LINE = "\x1b[K\r\n", END_OF_SCREEN = "\x1b[J";
/** Agents of a view that is printed once. */
const AGENTS_PRINTED = 50;

/** What comes first in the view: agents that send most now, or those that lost the greatest part of what they ever sent. */
export const AGENT_ORDERS = ["rate", "loss"] as const;
export type AgentOrder = (typeof AGENT_ORDERS)[number];

/**
 * Shows the collector at `at`: on a terminal until interrupted, else once, after a second for the rates.
 *
 * @throws {Error} As `askCollector()`.
 */
export async function top(at: HostPort, order: AgentOrder): Promise<void> {
  let before = await askCollector(at, "/status", StatusDocument);
  if (!Deno.stdout.isTerminal()) {
    await pause();
    const now = await askCollector(at, "/status", StatusDocument);
    for (const line of topLines(before, now, order, AGENTS_PRINTED)) console.log(line);
    return;
  }
  const leave = () => (write(MAIN_SCREEN), Deno.exit(0));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, leave);
  write(ALTERNATE_SCREEN);
  try {
    for (;;) {
      await pause();
      const now = await askCollector(at, "/status", StatusDocument);
      const { columns, rows } = Deno.consoleSize();
      const lines = topLines(before, now, order, rows).slice(0, rows - 1);
      write(HOME + lines.map((line) => line.slice(0, columns) + END_OF_LINE).join("") + END_OF_SCREEN);
      before = now;
    }
  } finally {
    write(MAIN_SCREEN);
  }
}

/** The view of the time between two answers, with as many agents at most. */
function topLines(before: StatusDocument, now: StatusDocument, order: AgentOrder, agentsMax: number): string[] {
  const seconds = secondsBetween(before, now);
  const rate = (later: number | undefined, earlier: number | undefined) => number(perSecond(later, earlier, seconds));
  const entry = (name: string) => number(now.ledger[name] ?? 0);
  const entryRate = (name: string) => rate(now.ledger[name], before.ledger[name]);
  const workersBefore = new Map(before.workers.map((worker) => [worker.worker, worker]));
  return [
    `Skyfall collector   ${now.time}   ${now.faults.length === 0 ? "ok" : now.faults.join("; ")}`,
    "",
    `events     ${entryRate("flow_records_received")}/s in, ${entryRate("events_published")}/s published; ${
      entry("events_in_tables")
    } in tables, ` +
    `${entry("events_unpublished")} wait, ${entry("events_spooled")} on disk; ${entry("flow_records_refused")} refused, ${
      entry("events_given_up")
    } given up; balance ${entry("balance")}`,
    `datagrams  ${entryRate("datagrams_received")}/s in; ${entry("datagrams_lost")} lost, ${entry("datagrams_duplicated")} duplicated, ` +
    `${entry("datagrams_reordered")} reordered, ${entry("datagrams_malformed")} malformed, ${
      entry("socket_dropped_datagrams")
    } dropped by sockets`,
    `topic      ${entryRate("messages_published")} messages/s, ${entryRate("bytes_published")} bytes/s, ${
      entryRate("rows_published")
    } rows/s; ` +
    `${number(now.topic.waiting_messages)} messages (${number(now.topic.waiting_bytes)} bytes) wait, ${entry("publish_failures")} failures`,
    "",
    ...formatColumns(
      ["worker", "datagrams/s", "events/s", "dropped", "table rows", "of", "report age s"],
      now.workers.map((worker) => [
        String(worker.worker),
        rate(worker.datagrams_received, workersBefore.get(worker.worker)?.datagrams_received),
        rate(worker.flow_records_received, workersBefore.get(worker.worker)?.flow_records_received),
        number(worker.socket_dropped_datagrams),
        number(worker.table_rows),
        number(worker.table_rows_max),
        (worker.report_age_ms / 1_000).toFixed(1),
      ]),
    ),
    "",
    ...agentLines(before, now, order, agentsMax),
  ];
}

function agentLines(before: StatusDocument, now: StatusDocument, order: AgentOrder, agentsMax: number): string[] {
  const seconds = secondsBetween(before, now);
  const receivedBefore = new Map(before.agents.map((agent) => [agentKey(agent), agent.datagrams_received]));
  const rated = now.agents.map((agent) => {
    const rate = perSecond(agent.datagrams_received, receivedBefore.get(agentKey(agent)), seconds);
    return { agent, rate, first: order === "rate" ? rate : lossFraction(agent) };
  });
  return formatColumns(
    [
      "agent",
      "sub-agent",
      "datagrams/s",
      "received",
      "lost",
      "lost %",
      "duplicated",
      "reordered",
      "restarts",
      "records missing",
      "lost by agent",
      "clock skew ms",
      "silent s",
    ],
    rated.sort((a, b) => b.first - a.first).slice(0, agentsMax).map(({ agent, rate }) => [
      agent.agent_address,
      agent.sub_agent_id === null ? "lanes" : String(agent.sub_agent_id),
      number(rate),
      number(agent.datagrams_received),
      number(agent.datagrams_lost),
      (100 * lossFraction(agent)).toFixed(1),
      number(agent.datagrams_duplicated),
      number(agent.datagrams_reordered),
      number(agent.restarts),
      number(agent.flow_records_missing),
      number(agent.agent_dropped_events),
      agent.clock_skew_ms === null ? "" : number(agent.clock_skew_ms),
      number(Math.max(0, Date.parse(now.time) - Date.parse(agent.last_seen)) / 1_000),
    ]),
  );
}

function secondsBetween(before: StatusDocument, now: StatusDocument): number {
  return Math.max(0.001, (Date.parse(now.time) - Date.parse(before.time)) / 1_000);
}

function perSecond(later: number | undefined, earlier: number | undefined, seconds: number): number {
  return Math.max(0, (later ?? 0) - (earlier ?? 0)) / seconds;
}

/** Datagrams lost, of those sent. */
function lossFraction({ datagrams_lost, datagrams_received }: Agent): number {
  return datagrams_lost === 0 ? 0 : datagrams_lost / (datagrams_received + datagrams_lost);
}

/** Columns as wide as their widest cell, the first to the left, numbers to the right. */
function formatColumns(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  return [header, ...rows].map((row) => row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  "));
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
