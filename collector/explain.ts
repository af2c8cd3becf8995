/** `collector explain`: the life of a conversation's rows, as a running collector tells it. */

import type { HostPort } from "../lib/ip_address.ts";
import { askCollector } from "./ask.ts";
import { Explanation } from "./question.ts";

/** Values that a table always holds, and that no reader of a row asks for. */
const INTERNAL = new Set(["identity", "role_source", "attribution_source", "window_start", "window_end"]);

/**
 * Asks the collector at `at`, and prints what it says of the conversation.
 *
 * @throws {Error} As `askCollector()`.
 * @throws {SyntaxError} If the port is none.
 */
export async function printExplanation(at: HostPort, client: string, server: string, port: string): Promise<void> {
  const query = new URLSearchParams({ client, server, port });
  const explanation = await askCollector(at, `/explain?${query}`, Explanation);
  for (const line of explanationLines(explanation, client, server, port)) console.log(line);
}

function explanationLines(explanation: Explanation, client: string, server: string, port: string): string[] {
  const { time, rows, streams, silent_workers, last_left } = explanation;
  const lines = [`${client} -> ${server} port ${port}, at ${time}`];
  if (silent_workers > 0) lines.push(`${silent_workers} workers did not answer in time: what they hold is not shown`);
  lines.push(`rows of it last left ${last_left === null ? "never, or so long ago that it is forgotten" : `at ${last_left}`}`);
  if (rows.length === 0) {
    return [
      ...lines,
      "no row of it is in a table: nobody reported it since it last left, or the ends are the other way round",
    ];
  }
  for (const row of rows) {
    lines.push(
      "",
      `worker ${row.worker}: ${row.network_transport}, minute ${row.minute}, leaves at ${row.leaves_at}`,
      `  reported as ${row.observer_role} by ${row.observer_host_name ?? "a host without a name"} (${row.observer_address}), ` +
        `service ${row.service_name ?? "unknown"}, process ${row.process_executable_name ?? "unknown"}`,
      `  measured by ${row.flow_source}, one of ${row.sampling_rate}${
        row.fold_level === 0 ? "" : `; folded with others (level ${row.fold_level}) for want of memory`
      }`,
      `  periods from ${unixUs(row.values["window_start"])} to ${unixUs(row.values["window_end"])}`,
      `  client ports: ${row.client_port_count}, ${row.client_ports.join(" ")}${
        row.client_port_count > row.client_ports.length ? " ..." : ""
      }`,
      `  ${
        Object.entries(row.values).filter(([name, value]) => value !== 0 && !INTERNAL.has(name)).map((entry) => entry.join(" ")).join(", ")
      }`,
    );
  }
  for (const stream of streams) {
    lines.push(
      "",
      `stream ${stream.agent_address} sub-agent ${stream.sub_agent_id} at worker ${stream.worker}: ${stream.datagrams_received} datagrams, ` +
        `${stream.datagrams_lost} lost, ${stream.datagrams_duplicated} duplicated, ${stream.datagrams_reordered} reordered, ` +
        `${stream.restarts} restarts; ${stream.flow_records_missing} flow records missing, ${stream.agent_dropped_events} events lost by the agent`,
    );
  }
  return lines;
}

function unixUs(us: number | undefined): string {
  return new Date((us ?? 0) / 1_000).toISOString();
}
