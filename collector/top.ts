/** `collector top`: a running collector at a glance. */

import type { HostPort } from "../lib/ip_address.ts";
import { askCollector } from "./ask.ts";
import { StatusDocument } from "./question.ts";

const POLL_MS = 1_000;
const ALTERNATE_SCREEN = "\x1b[?1049h\x1b[?25l", MAIN_SCREEN = "\x1b[?1049l\x1b[?25h";
const HOME = "\x1b[H", END_OF_LINE = "\x1b[K\r\n", END_OF_SCREEN = "\x1b[J";
/** Agents of a view that is printed once. */
const AGENTS_PRINTED = 50;

/**
 * Shows the collector at `at`: on a terminal until interrupted, else once, after a second for the rates.
 *
 * @throws {Error} As `askCollector()`.
 */
export async function top(at: HostPort): Promise<void> {
  let before = await askCollector(at, "/status", StatusDocument);
  if (!Deno.stdout.isTerminal()) {
    await pause();
    const now = await askCollector(at, "/status", StatusDocument);
    for (const line of topLines(before, now, AGENTS_PRINTED)) console.log(line);
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
      const lines = topLines(before, now, rows).slice(0, rows - 1);
      write(HOME + lines.map((line) => line.slice(0, columns) + END_OF_LINE).join("") + END_OF_SCREEN);
      before = now;
    }
  } finally {
    write(MAIN_SCREEN);
  }
}

/** The view of the time between two answers, with as many agents at most: those that send most first. */
export function topLines(before: StatusDocument, now: StatusDocument, agentsMax: number): string[] {
  const seconds = Math.max(0.001, (Date.parse(now.time) - Date.parse(before.time)) / 1_000);
  const rate = (later: number | undefined, earlier: number | undefined) => rateOf(later, earlier, seconds);
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
    ...streamLines(before, now, seconds, agentsMax),
  ];
}

function streamLines(before: StatusDocument, now: StatusDocument, seconds: number, agentsMax: number): string[] {
  const streamsBefore = new Map(before.streams.map((stream) => [streamKey(stream), stream]));
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
    now.streams.slice(0, agentsMax).map((stream) => [
      stream.agent_address,
      String(stream.sub_agent_id),
      rateOf(stream.datagrams_received, streamsBefore.get(streamKey(stream))?.datagrams_received, seconds),
      number(stream.datagrams_received),
      number(stream.datagrams_lost),
      percent(stream.datagrams_lost, stream.datagrams_received + stream.datagrams_lost),
      number(stream.datagrams_duplicated),
      number(stream.datagrams_reordered),
      number(stream.restarts),
      number(stream.flow_records_missing),
      number(stream.agent_dropped_events),
      stream.clock_skew_ms === null ? "" : number(stream.clock_skew_ms),
      number(Math.max(0, Date.parse(now.time) - Date.parse(stream.last_seen)) / 1_000),
    ]),
  );
}

function rateOf(later: number | undefined, earlier: number | undefined, seconds: number): string {
  return number(Math.max(0, (later ?? 0) - (earlier ?? 0)) / seconds);
}

function streamKey({ agent_address, sub_agent_id }: StatusDocument["streams"][number]): string {
  return `${agent_address}/${sub_agent_id}`;
}

/** Columns as wide as their widest cell, the first to the left, numbers to the right. */
function formatColumns(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  return [header, ...rows].map((row) => row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  "));
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "0.0" : (100 * part / whole).toFixed(1);
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
