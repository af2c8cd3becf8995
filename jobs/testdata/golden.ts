/** Databases with the flows of a CSV file, for golden cases. */

import { FLOW_COLUMNS } from "../../lib/records.ts";
import { Database } from "../duckdb.ts";
import { sqlText } from "../sql_text.ts";

/** Of rows without a time of their own. */
const WINDOW_START = "2026-01-02 03:04:00+00";

/** An IPv4 address as 16 bytes, in SQL. */
const MAPPED = (address: string) =>
  `unhex('00000000000000000000ffff' || array_to_string(list_transform(string_split(${address}, '.'), lambda part: format('{:02x}', part::int)), ''))`;

/** A database with the view `flow`: columns that the file lacks are 0 where they are amounts, else null. */
export async function goldenDatabase(csv: string): Promise<Database> {
  const database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
  await database.run(`create table given as select * from read_csv(${sqlText(csv)}, all_varchar = true)`);
  const given = new Set((await database.rows("describe given")).map((row) => String(row["column_name"])));
  const columns = FLOW_COLUMNS.map(({ name, type }) => {
    if (name === "client_ip" || name === "server_ip") return `${MAPPED(name.replace("ip", "address"))} as ${name}`;
    if (name === "window_start" && !given.has(name)) return `timestamptz '${WINDOW_START}' as ${name}`;
    const absent = type === "BIGINT" ? "0" : "null";
    return `${given.has(name) ? `coalesce(${name}::${type}, ${absent})` : absent}::${type} as ${name}`;
  });
  await database.run(`create view flow as select ${columns.join(", ")} from given`);
  return database;
}
