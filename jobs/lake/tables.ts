/** The tables of a lake. */

import { EDGE_COLUMNS, EDGE_SCHEMA_VERSION } from "../../lib/edge_columns.ts";
import { DEAD_LETTER_COLUMNS, DEAD_LETTER_SCHEMA_VERSION, FLOW_COLUMNS, FLOW_SCHEMA_VERSION } from "../../lib/records.ts";
import type { TableDefinition } from "./table.ts";

/** Rows of the topic, partitioned by the hour of their `window_start`. */
export const FLOW: TableDefinition = {
  name: "flow",
  columns: FLOW_COLUMNS,
  partitionColumns: ["date", "hour"],
  schemaVersion: FLOW_SCHEMA_VERSION,
};

/** Messages that gave no rows, partitioned by the day on which they were read. */
export const DEAD_LETTER: TableDefinition = {
  name: "dead_letter",
  columns: DEAD_LETTER_COLUMNS,
  partitionColumns: ["date"],
  schemaVersion: DEAD_LETTER_SCHEMA_VERSION,
};

/** Service edges by minute, partitioned by the hour of their `window_start`. */
export const EDGE_1M: TableDefinition = {
  name: "edge_1m",
  columns: EDGE_COLUMNS,
  partitionColumns: ["date", "hour"],
  schemaVersion: EDGE_SCHEMA_VERSION,
};

export const TABLES: readonly TableDefinition[] = [FLOW, EDGE_1M, DEAD_LETTER];
