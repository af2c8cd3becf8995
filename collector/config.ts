/** What the collector can be told: every key of its file with its bounds, and the settings that they give. */

import { z } from "zod";
import { integerKey, key, syntaxOf, textOf } from "../lib/config_key.ts";
import {
  type AddressRange,
  formatAddress,
  formatAddressRange,
  type HostPort,
  isMappedIpv4,
  parseAddressRange,
  parseHostPort,
} from "../lib/ip_address.ts";
import { LOG_LEVELS, type LogLevel } from "../lib/log.ts";
import { LOOPBACK_NEEDED, readLoopback } from "../lib/loopback_server.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { DEFAULT_ALLOWED } from "./admission.ts";
import { ROWS_MAX } from "./flow_rows.ts";

/** Arrow batches of many rows, for our jobs and any Arrow reader; or goflow2's protobuf, a message for each direction of a row. */
export const MESSAGE_FORMATS = ["arrow", "flowmessage"] as const;
export type MessageFormat = typeof MESSAGE_FORMATS[number];

export interface CollectorConfig {
  readonly listen: HostPort;
  /** For messages. */
  readonly listenText: string;
  readonly topicUrl: string;
  readonly workers: number;
  /** Rows of each worker's table, of each address family. */
  readonly tableRows: number;
  readonly windowS: number;
  readonly enterprise: number;
  /** Null where nothing is told over HTTP. */
  readonly metricsListen: HostPort | null;
  readonly logLevel: LogLevel;
  /** Senders that are listened to. */
  readonly allowed: readonly AddressRange[];
  /** Datagrams a second of one sender at one worker. */
  readonly sourceLimit: number;
  /** Text of the file with the keys that agents sign with, a key a line; null where they need not sign. */
  readonly keysText: string | null;
  /** Whether a collector that runs already is to be followed, without a datagram lost. */
  readonly takeOver: boolean;
  readonly format: MessageFormat;
  /** Where messages wait that the topic cannot take; null where they wait in memory only. */
  readonly spoolDirectory: string | null;
  readonly spoolBytesMax: number;
}

export const DEFAULT_CONFIG = {
  workers: navigator.hardwareConcurrency,
  tableRows: 1 << 20,
  windowS: 60,
  enterprise: DEFAULT_ENTERPRISE,
  metricsListen: { address: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]), port: 9_644 },
  logLevel: "info",
  allowed: DEFAULT_ALLOWED,
  sourceLimit: 200_000,
  keysText: null,
  format: "arrow",
  spoolDirectory: null,
  spoolBytesMax: 16 * 1024 ** 3,
} as const satisfies Omit<CollectorConfig, "listen" | "listenText" | "topicUrl" | "takeOver">;

/** Encoded rows that may wait for the topic; then the workers keep their rows, and as a last resort give some up. */
export const BACKLOG_BYTES_MAX = 256 * 1024 * 1024;

const WORKERS_MAX = 256;
const TABLE_ROWS_MIN = 1_024;
const WINDOW_S_MAX = 3_600;
const SOURCE_LIMIT_MAX = 1_000_000_000;
/** As many ranges are looked through for a sender that is not allowed. */
const ALLOWED_MAX = 1_000;
const PATH_CHARACTERS_MAX = 4_096;
const RANGE_NEEDED = '"ADDRESS/BITS" or an address';

/** Keys of the file in the order of the reference. */
export const CONFIG_KEYS = {
  listen: key((needed) => syntaxOf(needed, parseHostPort), '"ADDRESS:PORT" or "[IPV6]:PORT"', {
    byDefault: "none: it is needed, here or as `--listen`",
    reloads: false,
    meaning: "Where sFlow datagrams are received; port 0 takes any. The port of sFlow is 6343.",
  }),
  topic: key((needed) => z.string({ error: needed }).min(1, { error: needed }), "the URL of a topic", {
    byDefault: "none: it is needed, here or as `--topic`",
    reloads: false,
    meaning:
      "Where the aggregated flows go: a file, `sqlite:PATH`, or a topic of a Kafka cluster, `kafka://HOST:PORT/TOPIC` ([topic.md](topic.md)).",
  }),
  workers: integerKey(1, WORKERS_MAX, {
    byDefault: "one for each core",
    reloads: false,
    meaning: "Sockets and tables side by side, each with a thread of its own.",
  }),
  table_rows: integerKey(TABLE_ROWS_MIN, ROWS_MAX, {
    byDefault: String(DEFAULT_CONFIG.tableRows),
    reloads: false,
    meaning:
      "Conversations, minutes and ends that each worker holds, of IPv4 and again of IPv6; when they get short, rows are folded ([collector_memory.md](collector_memory.md)).",
  }),
  window_s: integerKey(1, WINDOW_S_MAX, {
    byDefault: String(DEFAULT_CONFIG.windowS),
    reloads: false,
    meaning: "How long a conversation is added up before it leaves, in seconds. From 60 on a minute is one row.",
  }),
  enterprise: integerKey(1, 2 ** 20 - 1, {
    byDefault: String(DEFAULT_CONFIG.enterprise),
    reloads: false,
    meaning: "Private enterprise number of our records; the agents must be told the same.",
  }),
  format: key((needed) => z.enum(MESSAGE_FORMATS, { error: needed }), MESSAGE_FORMATS.join(" or "), {
    byDefault: DEFAULT_CONFIG.format,
    reloads: false,
    meaning: "Batches of rows in Arrow, for our jobs and any Arrow reader; or goflow2's protobuf ([flowmessage.md](flowmessage.md)).",
  }),
  spool_directory: key(
    (needed) => z.string({ error: needed }).min(1, { error: needed }).max(PATH_CHARACTERS_MAX, { error: needed }),
    "the path of a folder",
    {
      byDefault: "messages wait in memory only",
      reloads: false,
      meaning: "Where messages wait on disk that the topic cannot take ([spool.md](spool.md)).",
    },
  ),
  spool_bytes_max: integerKey(1, Number.MAX_SAFE_INTEGER, {
    byDefault: String(DEFAULT_CONFIG.spoolBytesMax),
    reloads: false,
    meaning: "Room for them.",
  }),
  allow: key(
    (needed) => z.array(syntaxOf(RANGE_NEEDED, parseAddressRange), { error: needed }).max(ALLOWED_MAX, { error: needed }),
    `a list of at most ${ALLOWED_MAX} ranges, each ${RANGE_NEEDED}`,
    {
      byDefault: DEFAULT_ALLOWED.map(formatAddressRange).join(", "),
      reloads: true,
      meaning: "Senders that are listened to; what others send is counted and left out.",
    },
  ),
  source_limit: integerKey(1, SOURCE_LIMIT_MAX, {
    byDefault: String(DEFAULT_CONFIG.sourceLimit),
    reloads: true,
    meaning: "Datagrams a second that one sender may send to one worker; what is more is counted and left out.",
  }),
  key_file: key(
    (needed) => z.string({ error: needed }).min(1, { error: needed }).max(PATH_CHARACTERS_MAX, { error: needed }),
    "the path of a file",
    {
      byDefault: "datagrams need no signature",
      reloads: true,
      meaning: "Its lines are the keys that agents sign with, several while they are changed; SIGHUP reads it again.",
    },
  ),
  metrics_listen: key((needed) => textOf(needed, readLoopback), LOOPBACK_NEEDED, {
    byDefault: `127.0.0.1:${DEFAULT_CONFIG.metricsListen.port}`,
    reloads: false,
    meaning:
      "Where Prometheus finds `/metrics`, a load balancer `/healthz`, and `collector top` and `explain` what they show; loopback alone.",
  }),
  log_level: key((needed) => z.enum(LOG_LEVELS, { error: needed }), LOG_LEVELS.join(", "), {
    byDefault: DEFAULT_CONFIG.logLevel,
    reloads: true,
    meaning: "The least level of what is logged.",
  }),
} as const;

/** The file as a whole; a key that is left out has its default. */
export const CONFIG_FILE = z.strictObject(
  {
    listen: CONFIG_KEYS.listen.schema.optional(),
    topic: CONFIG_KEYS.topic.schema.optional(),
    workers: CONFIG_KEYS.workers.schema.optional(),
    table_rows: CONFIG_KEYS.table_rows.schema.optional(),
    window_s: CONFIG_KEYS.window_s.schema.optional(),
    enterprise: CONFIG_KEYS.enterprise.schema.optional(),
    format: CONFIG_KEYS.format.schema.optional(),
    spool_directory: CONFIG_KEYS.spool_directory.schema.optional(),
    spool_bytes_max: CONFIG_KEYS.spool_bytes_max.schema.optional(),
    allow: CONFIG_KEYS.allow.schema.optional(),
    source_limit: CONFIG_KEYS.source_limit.schema.optional(),
    key_file: CONFIG_KEYS.key_file.schema.optional(),
    metrics_listen: CONFIG_KEYS.metrics_listen.schema.optional(),
    log_level: CONFIG_KEYS.log_level.schema.optional(),
  } satisfies Record<keyof typeof CONFIG_KEYS, z.ZodType>,
  { error: "a mapping of keys" },
);

export type ConfigFile = z.output<typeof CONFIG_FILE>;

/** Settings that SIGHUP puts into force. */
export type ReloadedConfig = Pick<CollectorConfig, "logLevel" | "allowed" | "sourceLimit" | "keysText">;

/**
 * Settings of a file, with what flags say in its place.
 *
 * @param readKeys Reads the file of keys.
 * @throws {SyntaxError} If neither says where to listen, or names a topic.
 */
export function resolveConfig(file: ConfigFile, flags: ConfigFile, takeOver: boolean, readKeys: (path: string) => string): CollectorConfig {
  const told = { ...file, ...flags };
  if (told.listen === undefined || told.topic === undefined) {
    const name = told.listen === undefined ? "listen" : "topic";
    throw new SyntaxError(`Cannot run without "${name}": it is not given, needed --${name} or the key ${name} of --config`);
  }
  const { address, port } = told.listen, host = formatAddress(address);
  return {
    listen: told.listen,
    listenText: isMappedIpv4(address) ? `${host}:${port}` : `[${host}]:${port}`,
    topicUrl: told.topic,
    workers: told.workers ?? DEFAULT_CONFIG.workers,
    tableRows: told.table_rows ?? DEFAULT_CONFIG.tableRows,
    windowS: told.window_s ?? DEFAULT_CONFIG.windowS,
    enterprise: told.enterprise ?? DEFAULT_CONFIG.enterprise,
    format: told.format ?? DEFAULT_CONFIG.format,
    spoolDirectory: told.spool_directory ?? DEFAULT_CONFIG.spoolDirectory,
    spoolBytesMax: told.spool_bytes_max ?? DEFAULT_CONFIG.spoolBytesMax,
    allowed: told.allow ?? DEFAULT_CONFIG.allowed,
    sourceLimit: told.source_limit ?? DEFAULT_CONFIG.sourceLimit,
    keysText: told.key_file === undefined ? DEFAULT_CONFIG.keysText : readKeys(told.key_file),
    takeOver,
    metricsListen: told.metrics_listen === undefined ? DEFAULT_CONFIG.metricsListen : told.metrics_listen.listen,
    logLevel: told.log_level ?? DEFAULT_CONFIG.logLevel,
  };
}
