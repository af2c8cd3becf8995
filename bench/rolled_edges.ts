/** Makes `edge_1h` and `edge_1d` of a generated lake from its conversations, as the job `dependencies` and compaction would. */

import { ROLLED_EDGE_COLUMNS } from "../lib/edge_columns.ts";
import { append } from "../jobs/lake/append.ts";
import { writeDataFile } from "../jobs/lake/data_file.ts";
import { readTable, tableDirectory } from "../jobs/lake/table.ts";
import { EDGE_1D, EDGE_1H } from "../jobs/lake/tables.ts";
import { withLake } from "../jobs/query.ts";

/** Columns that are not sums of the same of `conversation_1m`. */
const VALUES: Readonly<Record<string, string>> = {
  network_transport: "network_transport",
  client_service_name: "client_service_name",
  client_address: "''",
  server_service_name: "server_service_name",
  server_address: "''",
  server_port: "server_port",
  connections_closed: "sum(connections_opened)",
  retransmits: "sum(client_retransmits + server_retransmits)",
  srtt_us_min: "min(min_rtt_us)",
  srtt_us_max: "max(min_rtt_us)",
  srtt_us_histogram: "[sum(srtt_samples)] || [0 for i in range(31)]",
  connect_us_max: "max(connect_us_max)",
  flow_rows: "2 * count(*)",
  schema_version: "1",
};

/** Tables that are there stay. */
export async function writeRolledEdges(lake: string): Promise<void> {
  await withLake(lake, async (database) => {
    for (const [definition, unit] of [[EDGE_1H, "hour"], [EDGE_1D, "day"]] as const) {
      const directory = tableDirectory(lake, definition), snapshot = await readTable(directory, definition, database);
      if (snapshot.version >= 0n) continue;
      const start = unit === "day" ? "date::timestamptz" : "(date::timestamp + to_hours(hour))::timestamptz";
      const columns = ROLLED_EDGE_COLUMNS.map(({ name, type }) =>
        `(${name === "window_start" ? "started" : VALUES[name] ?? `sum(${name})`})::${type} as ${name}`
      );
      const days = await database.rows("select distinct date::varchar as date from conversation_1m order by all");
      const adds = await Promise.all(days.map(({ date }) =>
        writeDataFile(database, directory, definition, {
          select: `select ${columns.join(", ")} from (select *, ${start} as started from conversation_1m where date = date '${date}')
            group by started, network_transport, client_service_name, server_service_name, server_port
            order by ${definition.sortColumns.join(", ")}`,
          name: "part-generated",
          partition: { date: String(date) },
          tags: {},
        })
      ));
      await append(directory, definition, snapshot, { operation: "WRITE", parameters: {}, adds, transactions: new Map() }, database);
    }
  });
}
