/** Asks a lake again and again until a file is there; prints each answer with the version that it says it is of. */

import { withLake } from "../../jobs/query.ts";
import { isDataFile } from "../../jobs/lake/table.ts";

const SQL = `select count(*)::integer as rows, coalesce(sum(bytes_sent), 0)::varchar as bytes,
  count(distinct (src_partition, src_offset, src_index))::integer as places from flow`;
/** Between two looks at the same views others have time to append, compact and vacuum. */
const LOOK_AGAIN_MS = 700;

const [lake, stopFile] = Deno.args;
while (!await isDataFile(stopFile!)) {
  await withLake(lake!, async (database, { version }) => {
    for (const waitMs of [0, LOOK_AGAIN_MS, LOOK_AGAIN_MS]) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const [row] = await database.rows(SQL);
      console.log(JSON.stringify({ version: String(version), ...row }));
    }
  });
}
Deno.exit(0);
