/** The reference of the tables' columns, made of lib/records.ts, lib/conversation_columns.ts and lib/edge_columns.ts; written by `deno task gen`. */

import { CONVERSATION_COLUMNS, CONVERSATION_SCHEMA_VERSION } from "./conversation_columns.ts";
import { EDGE_COLUMNS, EDGE_SCHEMA_VERSION } from "./edge_columns.ts";
import { AGENT_LOSS_COLUMNS, DEAD_LETTER_COLUMNS, FLOW_COLUMNS, FLOW_SCHEMA_VERSION } from "./records.ts";

/** Markdown of docs/reference/columns.md. */
export function columnsDocument(): string {
  const rows = FLOW_COLUMNS.map(({ name, type, nullable, origin, unit, meaning, source, since }) =>
    [
      `\`${name}\``,
      type + (nullable ? ", null" : ""),
      unit,
      meaning,
      source,
      (origin === "message" ? "collector" : "ETL job") + (since > 1 ? `, since version ${since}` : ""),
    ].map(cell).join(" | ")
  );
  return `<!-- Do not edit; made by \`deno task gen\` from lib/records.ts, lib/conversation_columns.ts and lib/edge_columns.ts. -->

# Columns of \`flow\`

One row per observing host and end, service, conversation (transport, client address, server address, server port), minute
and collector window. Amounts are deltas of the row's time: rows may always be added up, but never the rows of the two ends of
one conversation (\`observer_role\`), nor those of several observers where \`flow_source\` is \`sflow\` ([other agents](other_agents.md)).
The table is partitioned by \`date\` and \`hour\` of \`window_start\` (UTC).

A row belongs to the minute of its \`window_start\`: agents report what goes on at the beginning of every minute, so that a
period lies within one, up to the second that they may take for it. A longer period (an agent that does less to keep its cost
under the limit) has rows of its own, with their \`window_end\` in a later minute. A minute is complete two minutes after its end.

The schema is of version ${FLOW_SCHEMA_VERSION}. Messages of an older version are taken in, and a lake of one gets the columns that it lacks with the next
commit: in its older files they are null. Null in \`flow_source\` is \`skyfall\`, in \`sampling_rate\` 1, in \`fold_level\` and \`late_count\` 0, and in
\`reporter\` the end of \`observer_role\`. A message or a lake of a newer version is refused.

| Column | Type | Unit or values | Meaning | Source | Filled by |
| --- | --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
${conversationSection()}${edgeSection()}${agentLossSection()}${deadLetterSection()}`;
}

function conversationSection(): string {
  const rows = CONVERSATION_COLUMNS.map(({ name, type, nullable, unit, meaning, source }) =>
    [`\`${name}\``, type + (nullable ? ", null" : ""), unit, meaning, source].map(cell).join(" | ")
  );
  return `
# Columns of \`conversation_1m\`

Conversations by minute, which \`jobs run compact\` finds in whole hours of \`flow\` ([keeping a lake](keep.md)): one row per minute, transport,
client address, server address, server port and client service; of conversations that no client's host reports, per server service. Of both ends
the greater view of each amount counts: rows may always be added up. The table is partitioned by \`date\` and \`hour\` of \`window_start\` (UTC). Its schema is of version ${CONVERSATION_SCHEMA_VERSION}.

| Column | Type | Unit or values | Meaning | Source |
| --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

function edgeSection(): string {
  const rows = EDGE_COLUMNS.map(({ name, type, nullable, merge, unit, meaning, source }) =>
    [`\`${name}\``, type + (nullable ? ", null" : ""), unit, meaning, source, merge].map(cell).join(" | ")
  );
  return `
# Columns of \`edge_1m\`

Service edges by minute, which the job \`dependencies\` makes: one row per minute, transport, client, server and port, topic partition and
revision ([dependencies](dependencies.md)). Both ends of a conversation are one edge there, and the greater view of each amount counts: rows may
always be added up. The table is partitioned by \`date\` and \`hour\` of \`window_start\` (UTC). Its schema is of version ${EDGE_SCHEMA_VERSION}.

\`edge_1h\` and \`edge_1d\` have the same columns without those whose last column is \`source\`: one row per hour or day (\`window_start\`),
transport, client, server and port, of all minutes, partitions and revisions ([keeping a lake](keep.md)). They are partitioned by \`date\`.

| Column | Type | Unit or values | Meaning | Source | When rows of an edge are added up |
| --- | --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

function agentLossSection(): string {
  const rows = AGENT_LOSS_COLUMNS.map(({ name, type, nullable, unit, meaning }) =>
    [`\`${name}\``, type + (nullable ? ", null" : ""), unit, meaning].map(cell).join(" | ")
  );
  return `
# Columns of \`agent_loss\`

What was lost before it reached a collector, as collectors tell it in their messages ([streams](streams.md)): one row per agent and time in which
something was found lost. Amounts may always be added up. The table is partitioned by \`date\` of \`loss_end\` (UTC).

| Column | Type | Unit | Meaning |
| --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

function deadLetterSection(): string {
  const rows = DEAD_LETTER_COLUMNS.map(({ name, type, meaning }) => [`\`${name}\``, type, meaning].map(cell).join(" | "));
  return `
# Columns of \`dead_letter\`

Messages that gave no rows of \`flow\`, one row each ([how the lake is filled](lake.md)). The table is partitioned by \`date\` of \`ingest_time\` (UTC).

| Column | Type | Meaning |
| --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
