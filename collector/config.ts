/** What the collector can be told: every key of its file with its bounds, and the settings that they give. */

import { z } from "zod";
import { integerKey, key, syntaxOf, textOf } from "../lib/config_key.ts";
import { formatAddress, type HostPort, isMappedIpv4, parseHostPort } from "../lib/ip_address.ts";
import { LOG_LEVELS, type LogLevel } from "../lib/log.ts";
import { LOOPBACK_NEEDED, readLoopback } from "../lib/loopback_server.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";

export interface CollectorConfig {
  readonly listen: HostPort;
  /** For messages. */
  readonly listenText: string;
  readonly topicUrl: string;
  readonly workers: number;
  readonly windowS: number;
  readonly enterprise: number;
  /** Null where nothing is told over HTTP. */
  readonly metricsListen: HostPort | null;
  readonly logLevel: LogLevel;
}

export const DEFAULT_CONFIG = {
  workers: navigator.hardwareConcurrency,
  windowS: 60,
  enterprise: DEFAULT_ENTERPRISE,
  metricsListen: { address: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]), port: 9_644 },
  logLevel: "info",
} as const satisfies Omit<CollectorConfig, "listen" | "listenText" | "topicUrl">;

/** Rows of each worker's table: a power of 2. */
export const TABLE_ROWS = 1 << 18;

/** Encoded rows that may wait for the topic; then the workers keep their rows, and as a last resort give some up. */
export const BACKLOG_BYTES_MAX = 256 * 1024 * 1024;

const WORKERS_MAX = 256;
const WINDOW_S_MAX = 3_600;

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
    meaning: "Where the aggregated flows go: `sqlite:PATH` or `kafka://HOST:PORT/TOPIC` (topic.md).",
  }),
  workers: integerKey(1, WORKERS_MAX, {
    byDefault: "one for each core",
    reloads: false,
    meaning: "Sockets and tables side by side, each with a thread of its own.",
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
    window_s: CONFIG_KEYS.window_s.schema.optional(),
    enterprise: CONFIG_KEYS.enterprise.schema.optional(),
    metrics_listen: CONFIG_KEYS.metrics_listen.schema.optional(),
    log_level: CONFIG_KEYS.log_level.schema.optional(),
  } satisfies Record<keyof typeof CONFIG_KEYS, z.ZodType>,
  { error: "a mapping of keys" },
);

export type ConfigFile = z.output<typeof CONFIG_FILE>;

/** Settings that SIGHUP puts into force. */
export type ReloadedConfig = Pick<CollectorConfig, "logLevel">;

/**
 * Settings of a file, with what flags say in its place.
 *
 * @throws {SyntaxError} If neither says where to listen, or names a topic.
 */
export function resolveConfig(file: ConfigFile, flags: ConfigFile): CollectorConfig {
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
    windowS: told.window_s ?? DEFAULT_CONFIG.windowS,
    enterprise: told.enterprise ?? DEFAULT_CONFIG.enterprise,
    metricsListen: told.metrics_listen === undefined ? DEFAULT_CONFIG.metricsListen : told.metrics_listen.listen,
    logLevel: told.log_level ?? DEFAULT_CONFIG.logLevel,
  };
}
