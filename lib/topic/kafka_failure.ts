/** What befell a Kafka topic and what to do about it, from the errors of the client, the network and the brokers. */

/** An error and all behind it: its cause, and those that it gathers. */
function* chain(error: unknown): Generator<Error> {
  if (!(error instanceof Error)) return;
  yield error;
  if (error instanceof AggregateError) { for (const inner of error.errors) yield* chain(inner); }
  yield* chain(error.cause);
}

/** The broker's own name of an error (kafka.apache.org/protocol, error codes), or of the client's, or of the system's. */
function namesOf(error: Error): string[] {
  return ["apiId", "code"].map((field) => Reflect.get(error, field)).filter((name) => typeof name === "string");
}

const BY_NAME: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; start the broker, or correct its address",
  ENOTFOUND: "its host name is unknown; correct it",
  EAI_AGAIN: "its host name cannot be resolved now",
  EHOSTUNREACH: "its host cannot be reached",
  ENETUNREACH: "its network cannot be reached",
  SASL_AUTHENTICATION_FAILED: "the broker refuses the user or the password; correct user= and the file of password_file=",
  UNSUPPORTED_SASL_MECHANISM: "the broker does not offer this mechanism; correct sasl=",
  TOPIC_AUTHORIZATION_FAILED: "this user has no right to it; grant it on the topic (kafka-acls.sh)",
  CLUSTER_AUTHORIZATION_FAILED: "this user has no right to make it, or to write idempotently; grant it on the cluster (kafka-acls.sh)",
  POLICY_VIOLATION: "the cluster's policy forbids to make it so",
  INVALID_PARTITIONS: "the cluster refuses this number of partitions; correct partitions=",
  INVALID_REPLICATION_FACTOR: "the cluster has fewer brokers than copies are asked for; correct replication=",
  MESSAGE_TOO_LARGE: "a message is larger than it takes; raise its max.message.bytes",
  NOT_ENOUGH_REPLICAS: "fewer copies are in sync than its min.insync.replicas; start the brokers that are missing",
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: "fewer copies are in sync than its min.insync.replicas; start the brokers that are missing",
};

const UNKNOWN_TOPIC = /^Unknown topic /;

/** Words of the client's and the runtime's messages, which have no code. */
const BY_MESSAGE: readonly { readonly says: RegExp; readonly remedy: string }[] = [
  { says: UNKNOWN_TOPIC, remedy: `there is no such topic; add "partitions=N" to have it made, or make it with kafka-topics.sh` },
  { says: /Broker requires TLS/, remedy: `the broker wants TLS; add "tls=1"` },
  {
    says: /TLS handshake failed|InvalidContentType|corrupt message/,
    remedy: `the broker speaks no TLS there; leave "tls=1" out, or correct its port`,
  },
  { says: /does not match certificate/, remedy: "the broker's certificate is for another host name; use the name that it is for" },
  {
    says: /fatal alert: (BadCertificate|CertificateRequired)/,
    remedy: "the broker asks for a certificate of ours; name it with cert= and key=",
  },
  {
    says: /certificate|UnknownIssuer/i,
    remedy: "the broker's certificate is from an authority that is not trusted; name the authority's with ca=PATH",
  },
];

/** Where a broker is not one, or wants another protocol: it answers nothing, or hangs up. */
const NO_ANSWER = `it does not answer as a Kafka broker does; correct the port, or add "tls=1", "sasl=" or "cert=" if it wants them`;

/** What to do about an error, in one phrase. */
export function remedyOf(error: unknown): string {
  const errors = [...chain(error)];
  for (const { says, remedy } of BY_MESSAGE) if (errors.some(({ message }) => says.test(message))) return remedy;
  for (const name of Object.keys(BY_NAME)) if (errors.some((inner) => namesOf(inner).includes(name))) return BY_NAME[name]!;
  if (errors.some(({ message }) => /timed out|Connection closed|correlation/i.test(message))) return NO_ANSWER;
  return "Kafka failed";
}

/** Whether an error or one behind it has this name. */
export function hasName(error: unknown, name: string): boolean {
  return [...chain(error)].some((inner) => namesOf(inner).includes(name));
}

export function isUnknownTopic(error: unknown): boolean {
  return [...chain(error)].some(({ message }) => UNKNOWN_TOPIC.test(message));
}

/** The last of the errors that the client gathered over its attempts: its words name the broker. */
export function innerOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? innerOf(error.errors.at(-1)) : error;
}
