/** URLs of Kafka topics: `kafka://HOST:PORT[,HOST:PORT]/TOPIC?...`, with what is needed to reach and to make the topic. */

import { TopicError } from "./topic.ts";

const MECHANISMS = { "plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512" } as const;

export interface KafkaLogin {
  readonly mechanism: typeof MECHANISMS[keyof typeof MECHANISMS];
  readonly user: string;
  /** Never in the URL, which process lists and logs show. */
  readonly passwordFile: string;
}

/** Files of PEM text. */
export interface KafkaTls {
  /** Certificates of the authorities that the brokers' are from; null for those that the runtime knows. */
  readonly caFile: string | null;
  /** Our own certificate and its key, for brokers that ask for one. */
  readonly own: { readonly certificateFile: string; readonly keyFile: string } | null;
}

export interface KafkaUrl {
  readonly brokers: readonly { readonly host: string; readonly port: number }[];
  readonly topic: string;
  /** Null where a topic that is missing must not be made. */
  readonly creation: { readonly partitions: number; readonly replication: number | null } | null;
  readonly login: KafkaLogin | null;
  readonly tls: KafkaTls | null;
}

const PARTITIONS_MAX = 1_024;
const REPLICATION_MAX = 32;
const PARAMETERS = ["partitions", "replication", "sasl", "user", "password_file", "tls", "ca", "cert", "key"];
const FORM = `kafka://HOST:PORT[,HOST:PORT]/TOPIC, and after "?" any of ${PARAMETERS.join(", ")}`;

/**
 * Parses a topic's URL.
 *
 * @throws {TopicError} If it is of another form, or its parameters do not fit together.
 */
export function parseKafkaUrl(url: string): KafkaUrl {
  const fail = (what: string): never => {
    throw new TopicError(`Cannot open topic "${withoutSecrets(url)}": ${what}`);
  };
  // Topic names as Kafka has them (org.apache.kafka.common.internals.Topic).
  const match = /^kafka:\/\/([^/?]+)\/([a-zA-Z0-9._-]{1,249})(?:\?(.*))?$/.exec(url);
  if (match === null) return fail(`needed ${FORM}`);
  const parameters = new Map(new URLSearchParams(match[3] ?? ""));
  for (const name of parameters.keys()) if (!PARAMETERS.includes(name)) fail(`"${name}" is unknown, needed ${FORM}`);
  const integer = (name: string, max: number) => {
    const text = parameters.get(name);
    if (text === undefined) return null;
    const value = Number(text);
    return /^\d+$/.test(text) && value >= 1 && value <= max ? value : fail(`${name} "${text}", needed 1 to ${max}`);
  };
  const partitions = integer("partitions", PARTITIONS_MAX), replication = integer("replication", REPLICATION_MAX);
  if (replication !== null && partitions === null) fail(`"replication" is for making the topic, and needs "partitions"`);
  return {
    brokers: match[1]!.split(",").map((broker) => parseBroker(broker) ?? fail(`brokers needed as HOST:PORT[,HOST:PORT]`)),
    topic: match[2]!,
    creation: partitions === null ? null : { partitions, replication },
    login: parseLogin(parameters, fail),
    tls: parseTls(parameters, fail),
  };
}

/** What people take for the place of a password is not repeated. */
function withoutSecrets(url: string): string {
  return url.replace(/:\/\/[^/]*@/, "://...@").replace(/(password=)[^&]*/, "$1...");
}

type Parameters = ReadonlyMap<string, string>;

function parseBroker(text: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:@[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return match === null || port < 1 || port > 65_535 ? null : { host: (match[1] ?? match[2])!, port };
}

function parseLogin(parameters: Parameters, fail: (what: string) => never): KafkaLogin | null {
  const sasl = parameters.get("sasl"), user = parameters.get("user"), passwordFile = parameters.get("password_file");
  if (sasl === undefined && user === undefined && passwordFile === undefined) return null;
  if (sasl === undefined || user === undefined || passwordFile === undefined) return fail(`"sasl", "user" and "password_file" go together`);
  const mechanism = Object.entries(MECHANISMS).find(([name]) => name === sasl)?.[1];
  return mechanism === undefined
    ? fail(`sasl "${sasl}", needed one of ${Object.keys(MECHANISMS).join(", ")}`)
    : { mechanism, user, passwordFile };
}

function parseTls(parameters: Parameters, fail: (what: string) => never): KafkaTls | null {
  const tls = parameters.get("tls"), certificateFile = parameters.get("cert"), keyFile = parameters.get("key");
  if (tls !== undefined && tls !== "1") return fail(`tls "${tls}", needed "1", or no "tls"`);
  if ((certificateFile === undefined) !== (keyFile === undefined)) return fail(`"cert" and "key" go together`);
  const caFile = parameters.get("ca") ?? null;
  const own = certificateFile === undefined || keyFile === undefined ? null : { certificateFile, keyFile };
  if (tls === undefined) return caFile === null && own === null ? null : fail(`"ca", "cert" and "key" are for TLS, and need "tls=1"`);
  return { caFile, own };
}
