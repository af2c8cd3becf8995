/** Message of the topic of edges: a batch of `edge_1m`'s rows as one Arrow IPC stream, as those of flows are. */

import { EDGE_COLUMNS, EDGE_SCHEMA_VERSION } from "./edge_columns.ts";
import { batchEncoder, type ColumnDataByType } from "./flow_batch.ts";

type EdgeColumn = typeof EDGE_COLUMNS[number];

/** Rows by column. */
export interface EdgeBatch {
  readonly rowCount: number;
  readonly columns: { readonly [C in EdgeColumn as C["name"]]: ColumnDataByType[C["type"]] };
}

const encodeColumns = batchEncoder(EDGE_COLUMNS, EDGE_SCHEMA_VERSION);

/** Encodes rows as a message. @throws {RangeError} If there are none, or more than `BATCH_ROWS_MAX` of lib/flow_batch.ts. */
export function encodeEdgeBatch({ rowCount, columns }: EdgeBatch): Uint8Array {
  return encodeColumns(rowCount, columns);
}
