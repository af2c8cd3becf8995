/** The reference of the collector's configuration file, made of `CONFIG_KEYS` and the ledger; written by `deno task gen`. */

import { keyTable } from "../lib/config_key.ts";
import { keysOf } from "../lib/keys.ts";
import { CONFIG_KEYS } from "./config.ts";
import { LEDGER } from "./ledger.ts";

/** Markdown of docs/reference/collector_config.md. */
export function configDocument(): string {
  const ledger = keysOf(LEDGER).map((name) => {
    const { kind, help } = LEDGER[name];
    return `| \`skyfall_collector_${name}${kind === "counter" ? "_total" : ""}\` | ${kind} | ${help} |`;
  });
  return `<!-- Do not edit; made by \`deno task gen\` from collector/config.ts and collector/ledger.ts. -->

# The collector's configuration file

\`collector run --config FILE\` reads a file in YAML 1.2, or in JSON, which is a part of it. Every key but \`listen\` and \`topic\` may be
left out. A flag of the command line overrides the key of its name. What is wrong is refused with its line:

    Cannot read configuration "collector.yaml", line 4: window_s: 0, needed 1 to 3600

On SIGHUP the collector reads the file again and puts into force what the fourth column allows; what needs a restart is named in
the log. A file that is wrong is refused with a log line, and the old settings stay. SIGTERM drains the sockets, the tables and
the queue, and ends with the ledger as the last log line.

${keyTable(CONFIG_KEYS)}

## Example

    listen: "[::]:6343"
    topic: sqlite:/var/lib/skyfall/topic.db
    window_s: 60

## What is served at \`metrics_listen\`

If the port is taken, the collector logs that and collects without.

| Path | Answers |
| --- | --- |
| \`/metrics\` | all metrics, for Prometheus |
| \`/healthz\` | 200 while every worker reports (at least every 5 s) and the topic takes what waits (something every 30 s, and less waits than may); else 503 with the reasons |
| \`/status\` | JSON of what \`collector top\` shows |
| \`/explain?client=A&server=B&port=P\` | JSON of what \`collector explain\` shows |

The ledger, which tells every flow record: received (and recovered from the spool) = refused + in tables + given up + waiting in memory + on disk + published. \`balance\` is what is left,
and 0 at every scrape.

| Metric | Kind | Meaning |
| --- | --- | --- |
${ledger.join("\n")}

Beside it \`skyfall_collector_malformed_total\` by \`reason\`, \`skyfall_collector_refused_total\` by \`field\`,
\`skyfall_collector_standard_refused_total\` by \`reason\` ([other agents](other_agents.md)); by \`worker\`
\`skyfall_collector_table_rows\`, \`_table_rows_max\` and \`_report_age_seconds\`; \`skyfall_collector_topic_waiting_bytes\` and
\`skyfall_collector_resident_bytes\`.

## Looking into a running collector

\`collector top\` shows it live on a terminal, and once where there is none: the ledger, the workers, and the agents with what of their datagrams was lost.
An agent of ours is one line, whatever its [lanes](lanes.md): counts are theirs together, restarts those of the lane with the most, and it is silent since the last
datagram of any. Other sFlow agents have a line for each sub-agent. \`--order rate\` puts those first that send most now, \`--order loss\` those that lost the greatest
part of what they ever sent; of more than 5,000 agents of a worker those are left out that have sent it least. \`collector explain --client A --server B --port P\` shows the
life of a conversation's rows: the worker that has them, who reported them, their values now, when they leave, when others last left (of
some 65,000 conversations a worker), and what is known of the streams of the agents that reported them. Both ask \`--at HOST:PORT\`, the collector's \`metrics_listen\`.
`;
}
