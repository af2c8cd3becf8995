/** What the collector can be told. */

import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import type { AddressRange, HostPort } from "../lib/ip_address.ts";
import { DEFAULT_ALLOWED } from "./admission.ts";

export interface CollectorConfig {
  readonly listen: HostPort;
  /** As the operator wrote it, for messages. */
  readonly listenText: string;
  readonly topicUrl: string;
  readonly workers: number;
  readonly windowS: number;
  readonly enterprise: number;
  /** Senders that are listened to. */
  readonly allowed: readonly AddressRange[];
  /** Datagrams a second of one sender at one worker. */
  readonly sourceLimit: number;
  /** Text of the file with the keys that agents sign with, a key a line; null where they need not sign. */
  readonly keysText: string | null;
  /** Whether a collector that runs already is to be followed, without a datagram lost. */
  readonly takeOver: boolean;
}

export const DEFAULT_CONFIG = {
  workers: navigator.hardwareConcurrency,
  windowS: 60,
  enterprise: DEFAULT_ENTERPRISE,
  allowed: DEFAULT_ALLOWED,
  sourceLimit: 200_000,
  keysText: null,
  takeOver: false,
} as const satisfies Partial<CollectorConfig>;

/** Rows of each worker's table: a power of 2. */
export const TABLE_ROWS = 1 << 18;

/** Encoded rows that may wait for the topic; then the workers keep their rows, and as a last resort give some up. */
export const BACKLOG_BYTES_MAX = 256 * 1024 * 1024;
