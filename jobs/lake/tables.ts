/** The tables of a lake. */

import { EDGE_COLUMNS, EDGE_SCHEMA_VERSION, ROLLED_EDGE_COLUMNS } from "../../lib/edge_columns.ts";
import { CONVERSATION_COLUMNS, CONVERSATION_SCHEMA_VERSION } from "../../lib/conversation_columns.ts";
import {
  AGENT_LOSS_COLUMNS,
  AGENT_LOSS_SCHEMA_VERSION,
  DEAD_LETTER_COLUMNS,
  DEAD_LETTER_SCHEMA_VERSION,
  FLOW_COLUMNS,
  FLOW_SCHEMA_VERSION,
} from "../../lib/records.ts";
import type { TableDefinition } from "./table.ts";

/** Questions ask for a service and a time: what they need lies together. */
const BY_SERVICE = ["server_service_name", "client_service_name", "server_port", "window_start"];

/** Rows of the topic, partitioned by the hour of their `window_start`. */
export const FLOW: TableDefinition = {
  name: "flow",
  columns: FLOW_COLUMNS,
  partitionColumns: ["date", "hour"],
  sortColumns: BY_SERVICE,
  schemaVersion: FLOW_SCHEMA_VERSION,
};

/** Messages that gave no rows, partitioned by the day on which they were read. */
export const DEAD_LETTER: TableDefinition = {
  name: "dead_letter",
  columns: DEAD_LETTER_COLUMNS,
  partitionColumns: ["date"],
  sortColumns: ["src_topic", "src_partition", "src_offset"],
  schemaVersion: DEAD_LETTER_SCHEMA_VERSION,
};

/** What was lost on the way to collectors, partitioned by the day on which that was found. */
export const AGENT_LOSS: TableDefinition = {
  name: "agent_loss",
  columns: AGENT_LOSS_COLUMNS,
  partitionColumns: ["date"],
  sortColumns: ["src_topic", "src_partition", "src_offset", "src_index"],
  schemaVersion: AGENT_LOSS_SCHEMA_VERSION,
};

/** Conversations by minute, both ends of each in one row, found from whole hours of `flow`. */
export const CONVERSATION_1M: TableDefinition = {
  name: "conversation_1m",
  columns: CONVERSATION_COLUMNS,
  partitionColumns: ["date", "hour"],
  sortColumns: BY_SERVICE,
  schemaVersion: CONVERSATION_SCHEMA_VERSION,
};

/** Service edges by minute, partitioned by the hour of their `window_start`. */
export const EDGE_1M: TableDefinition = {
  name: "edge_1m",
  columns: EDGE_COLUMNS,
  partitionColumns: ["date", "hour"],
  sortColumns: BY_SERVICE,
  schemaVersion: EDGE_SCHEMA_VERSION,
};

/** Service edges by hour, added up from `edge_1m`. */
export const EDGE_1H: TableDefinition = {
  name: "edge_1h",
  columns: ROLLED_EDGE_COLUMNS,
  partitionColumns: ["date"],
  sortColumns: BY_SERVICE,
  schemaVersion: EDGE_SCHEMA_VERSION,
};

/** Service edges by day, added up from `edge_1m`. */
export const EDGE_1D: TableDefinition = { ...EDGE_1H, name: "edge_1d" };

export const TABLES: readonly TableDefinition[] = [FLOW, CONVERSATION_1M, EDGE_1M, EDGE_1H, EDGE_1D, DEAD_LETTER, AGENT_LOSS];
