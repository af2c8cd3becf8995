/** What the collector can be told. */

import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import type { HostPort } from "../lib/ip_address.ts";

/** Arrow batches of many rows, for our jobs and any Arrow reader; or goflow2's protobuf, a message for each direction of a row. */
export const MESSAGE_FORMATS = ["arrow", "flowmessage"] as const;
export type MessageFormat = typeof MESSAGE_FORMATS[number];

export interface CollectorConfig {
  readonly listen: HostPort;
  /** As the operator wrote it, for messages. */
  readonly listenText: string;
  readonly topicUrl: string;
  readonly workers: number;
  readonly windowS: number;
  readonly enterprise: number;
  readonly format: MessageFormat;
  /** Where messages wait that the topic cannot take; null where they wait in memory only. */
  readonly spoolDirectory: string | null;
  readonly spoolBytesMax: number;
}

export const DEFAULT_CONFIG = {
  workers: navigator.hardwareConcurrency,
  windowS: 60,
  enterprise: DEFAULT_ENTERPRISE,
  format: "arrow",
  spoolDirectory: null,
  spoolBytesMax: 16 * 1024 ** 3,
} as const satisfies Partial<CollectorConfig>;

/** Rows of each worker's table: a power of 2. */
export const TABLE_ROWS = 1 << 18;

/** Encoded rows that may wait for the topic; then the workers keep their rows, and as a last resort give some up. */
export const BACKLOG_BYTES_MAX = 256 * 1024 * 1024;
