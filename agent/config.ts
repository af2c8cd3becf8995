/** What the agent can be told: every key of its file with its bounds, and the settings that they give. */

import { z } from "zod";
import { integerKey, key, syntaxOf, textOf } from "../lib/config_key.ts";
import type { HostPort } from "../lib/ip_address.ts";
import { LOOPBACK_NEEDED, readLoopback } from "../lib/loopback_server.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { LANES_DEFAULT, LANES_MAX } from "../lib/lanes.ts";
import { COLLECTOR_FORM, type CollectorAddress, parseCollectorAddress } from "./collector_address.ts";

/** Names processes: the first rule whose expression matches the command line gives the service its name. */
export interface ServiceRule {
  readonly command_line: RegExp;
  readonly service_name: string;
}

export interface AgentConfig {
  /** At least one. */
  readonly collectors: readonly CollectorAddress[];
  /** Parts in which flows travel (lib/lanes.ts). */
  readonly lanes: number;
  /** File with the key that datagrams are signed with, or null. */
  readonly keyFile: string | null;
  readonly enterprise: number;
  /** Whether flows are restated in the standard structures that other readers know. */
  readonly interop: boolean;
  /** How often conversations that go on are reported. */
  readonly interimIntervalMs: number;
  readonly serviceRules: readonly ServiceRule[];
  /** What is blotted out of command lines, beyond the secrets that always are. */
  readonly redact: readonly RegExp[];
  /** Of one core; beyond it the governor makes the agent do less. */
  readonly cpuLimitPercent: number;
  /** Null where no metrics are served. */
  readonly metricsListen: HostPort | null;
  /** As in setpriority(2). */
  readonly nice: number;
}

export const DEFAULT_CONFIG = {
  lanes: LANES_DEFAULT,
  keyFile: null,
  enterprise: DEFAULT_ENTERPRISE,
  interop: false,
  interimIntervalMs: 10_000,
  serviceRules: [],
  redact: [],
  cpuLimitPercent: 5,
  metricsListen: { address: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]), port: 9_643 },
  nice: 19,
} as const satisfies Omit<AgentConfig, "collectors">;

const SERVICE_NAME_CHARACTERS_MAX = 64;
const NAME_NEEDED = `1 to ${SERVICE_NAME_CHARACTERS_MAX} characters`;
const RULES_MAX = 1_000, COLLECTORS_MAX = 64, PATH_CHARACTERS_MAX = 4_096;

const expression = (flags: string) => syntaxOf("a regular expression of JavaScript", (text) => readExpression(text, flags));

/** Keys of the file in the order of the reference. */
export const CONFIG_KEYS = {
  collector: key((needed) => textOf(needed, parseCollectorAddress), COLLECTOR_FORM, {
    byDefault: "none: it is needed, here or as `--collector`",
    reloads: true,
    meaning: "Where the sFlow datagrams go. A name is looked up again when nobody answers there, and every 5 minutes.",
  }),
  collectors: key(
    (needed) =>
      z.array(textOf(COLLECTOR_FORM, parseCollectorAddress), { error: needed }).min(1, { error: needed }).max(COLLECTORS_MAX, {
        error: needed,
      }),
    `a list of 1 to ${COLLECTORS_MAX} collectors`,
    {
      byDefault: "`collector` alone",
      reloads: true,
      meaning: "Several collectors, in place of `collector`. Each lane goes to one of them, at all agents with the same list the same; " +
        "where nobody listens there, to the next one until it is back.",
    },
  ),
  lanes: integerKey(1, LANES_MAX, {
    byDefault: String(DEFAULT_CONFIG.lanes),
    reloads: false,
    meaning:
      "Parts in which flows travel, by their conversation. At least as many as collectors and their workers have processors together " +
      "spread the load over all of these; more make more and smaller datagrams. The same for a whole fleet, so that both ends of a conversation meet.",
  }),
  key_file: key(
    (needed) => z.string({ error: needed }).min(1, { error: needed }).max(PATH_CHARACTERS_MAX, { error: needed }),
    "the path of a file",
    {
      byDefault: "datagrams are not signed",
      reloads: false,
      meaning:
        "Its first line is the key that datagrams are signed with: 16 characters or more, the same as in the `--key-file` of the collector.",
    },
  ),
  enterprise: integerKey(1, 2 ** 20 - 1, {
    byDefault: String(DEFAULT_CONFIG.enterprise),
    reloads: false,
    meaning: "Private enterprise number of our records; the collector must be told the same.",
  }),
  interop: key((needed) => z.boolean({ error: needed }), "true or false", {
    byDefault: "false",
    reloads: false,
    meaning: "Restates every flow in standard sFlow structures, for other collectors.",
  }),
  interim_interval_ms: integerKey(100, 60_000, {
    byDefault: String(DEFAULT_CONFIG.interimIntervalMs),
    reloads: true,
    meaning:
      "How often conversations that go on are reported: counted from the beginning of each minute, which always is a time to report.",
  }),
  services: key(
    (needed) =>
      z.array(
        z.strictObject({
          command_line: expression(""),
          service_name: z.string({ error: NAME_NEEDED }).min(1, { error: NAME_NEEDED })
            .max(SERVICE_NAME_CHARACTERS_MAX, { error: NAME_NEEDED }),
        }, { error: "a mapping of command_line and service_name" }),
        { error: needed },
      ).max(RULES_MAX, { error: needed }),
    `a list of at most ${RULES_MAX} rules, each with command_line and service_name`,
    {
      byDefault: "no rules",
      reloads: true,
      meaning: "Names processes: the first rule whose `command_line` (an expression) matches gives the service its `service_name`. " +
        "It sees the command line as it is reported: blotted out already.",
    },
  ),
  redact: key(
    (needed) => z.array(expression("g"), { error: needed }).max(RULES_MAX, { error: needed }),
    `a list of at most ${RULES_MAX} regular expressions of JavaScript`,
    {
      byDefault: "no more than what is always blotted out",
      reloads: true,
      meaning: "What is replaced by `***` in command lines: everything that an expression matches. Use `(?<=...)` for what must stay.",
    },
  ),
  cpu_limit_percent: key(
    (needed) => z.number({ error: needed }).min(0.1, { error: needed }).max(100, { error: needed }),
    "0.1 to 100",
    {
      byDefault: String(DEFAULT_CONFIG.cpuLimitPercent),
      reloads: true,
      meaning: "Processor time that the agent may take, of one core, over 10 s: its process and its kernel programs. " +
        "Beyond it the agent does less, [step by step](agent_cost.md).",
    },
  ),
  metrics_listen: key((needed) => textOf(needed, readLoopback), LOOPBACK_NEEDED, {
    byDefault: `127.0.0.1:${DEFAULT_CONFIG.metricsListen.port}`,
    reloads: false,
    meaning: "Where Prometheus finds the agent's metrics, at `/metrics`; loopback alone.",
  }),
  nice: integerKey(0, 19, {
    byDefault: String(DEFAULT_CONFIG.nice),
    reloads: false,
    meaning: "How far the agent stands back behind other programs: 19 is furthest.",
  }),
} as const;

/** The file as a whole; a key that is left out has its default. */
export const CONFIG_FILE = z.strictObject(
  {
    collector: CONFIG_KEYS.collector.schema.optional(),
    collectors: CONFIG_KEYS.collectors.schema.optional(),
    lanes: CONFIG_KEYS.lanes.schema.optional(),
    key_file: CONFIG_KEYS.key_file.schema.optional(),
    enterprise: CONFIG_KEYS.enterprise.schema.optional(),
    interop: CONFIG_KEYS.interop.schema.optional(),
    interim_interval_ms: CONFIG_KEYS.interim_interval_ms.schema.optional(),
    services: CONFIG_KEYS.services.schema.optional(),
    redact: CONFIG_KEYS.redact.schema.optional(),
    cpu_limit_percent: CONFIG_KEYS.cpu_limit_percent.schema.optional(),
    metrics_listen: CONFIG_KEYS.metrics_listen.schema.optional(),
    nice: CONFIG_KEYS.nice.schema.optional(),
  } satisfies Record<keyof typeof CONFIG_KEYS, z.ZodType>,
  { error: "a mapping of keys" },
);

export type ConfigFile = z.output<typeof CONFIG_FILE>;

/**
 * Settings of a file, with what flags say in its place.
 *
 * @throws {SyntaxError} If neither names a collector.
 */
export function resolveConfig(file: ConfigFile, flags: ConfigFile): AgentConfig {
  const told = { ...file, ...flags };
  if (file.collector !== undefined && file.collectors !== undefined) {
    throw new SyntaxError("Cannot run with both collector and collectors in --config, needed one of them");
  }
  const collectors = flags.collector === undefined && told.collectors !== undefined ? told.collectors : told.collector && [told.collector];
  if (collectors === undefined) {
    throw new SyntaxError(
      "Cannot run without a collector: none is given, needed --collector or the key collector or collectors of --config",
    );
  }
  return {
    collectors,
    lanes: told.lanes ?? DEFAULT_CONFIG.lanes,
    keyFile: told.key_file ?? DEFAULT_CONFIG.keyFile,
    enterprise: told.enterprise ?? DEFAULT_CONFIG.enterprise,
    interop: told.interop ?? DEFAULT_CONFIG.interop,
    interimIntervalMs: told.interim_interval_ms ?? DEFAULT_CONFIG.interimIntervalMs,
    serviceRules: told.services ?? DEFAULT_CONFIG.serviceRules,
    redact: told.redact ?? DEFAULT_CONFIG.redact,
    cpuLimitPercent: told.cpu_limit_percent ?? DEFAULT_CONFIG.cpuLimitPercent,
    metricsListen: told.metrics_listen === undefined ? DEFAULT_CONFIG.metricsListen : told.metrics_listen.listen,
    nice: told.nice ?? DEFAULT_CONFIG.nice,
  };
}

/** @throws {SyntaxError} If it is no expression, or empty: that would match everywhere. */
function readExpression(text: string, flags: string): RegExp {
  if (text === "") throw new SyntaxError("Cannot read an expression: it is empty");
  return new RegExp(text, flags);
}
