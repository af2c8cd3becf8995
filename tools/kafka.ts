/** Real Kafka brokers for tests and benches, on free ports of the loopback interface, gone with their owner. */

import { Admin } from "@platformatic/kafka";
import { TextLineStream } from "../chain/text_line_stream.ts";
import { kafkaJars } from "./cache.ts";

/** How clients reach it: with a login, or with a certificate of their own (`SSL`), or as they are. */
export type Security = "PLAINTEXT" | "SASL_PLAINTEXT" | "SASL_SSL" | "SSL";

export const USER = "collector";
export const PASSWORD = "correct horse";
const READY = "Kafka Server started";
const READY_TIMEOUT_MS = 90_000;
const KEPT_LINES = 40;

/** Runs a command and kills it when this process, which holds its stdin, ends however it may. Tells the command's id first. */
const KEEPER = `exec 3<&0; "$@" </dev/null & child=$!; echo "$child"; { cat <&3; kill -9 $child; } >/dev/null 2>&1 & wait $child`;

export class Broker implements AsyncDisposable {
  readonly #folder: string;
  readonly #jars: string;
  /** Host name that its certificate is for. */
  readonly host: string;
  #keeper: Deno.ChildProcess | null = null;
  #pid = 0;
  #ended: Promise<void> = Promise.resolve();

  private constructor(folder: string, jars: string, readonly port: number, security: Security) {
    this.#folder = folder;
    this.#jars = jars;
    this.host = security.endsWith("SSL") ? "localhost" : "127.0.0.1";
  }

  /**
   * Starts an empty broker, and waits until it answers.
   *
   * @param advertisedPort Where clients are told to come, if it is not the broker's own port.
   * @throws {Error} If it cannot be fetched, or does not start; the message holds its last words.
   */
  static async start(security: Security = "PLAINTEXT", advertisedPort: number | null = null): Promise<Broker> {
    const [broker] = await Broker.#startNodes(1, security, advertisedPort);
    return broker!;
  }

  /**
   * Starts a cluster of empty brokers that each keep a copy of everything, and acknowledge what two have.
   *
   * @throws {Error} As `start()`.
   */
  static startCluster(size: number): Promise<Broker[]> {
    return Broker.#startNodes(size, "PLAINTEXT", null);
  }

  static async #startNodes(size: number, security: Security, advertisedPort: number | null): Promise<Broker[]> {
    const jars = await kafkaJars();
    const clusterId = crypto.getRandomValues(new Uint8Array(16)).toBase64({ alphabet: "base64url", omitPadding: true });
    const ports = freePorts(3 * size); // drawn together, so that none is drawn twice
    const controllerPorts = ports.slice(0, size), clientPorts = ports.slice(size, 2 * size), internalPorts = ports.slice(2 * size);
    const voters = controllerPorts.map((port, i) => `${i + 1}@127.0.0.1:${port}`).join(",");
    const brokers = await Promise.all(controllerPorts.map(async (controllerPort, i) => {
      const folder = await Deno.makeTempDir();
      const port = clientPorts[i]!, internalPort = internalPorts[i]!;
      if (security.endsWith("SSL")) await makeCertificates(folder);
      const broker = new Broker(folder, jars, port, security);
      await broker.#format(clusterId, {
        ...NODE,
        "node.id": i + 1,
        "default.replication.factor": size,
        "min.insync.replicas": Math.min(2, size),
        "controller.quorum.voters": voters,
        "listeners": `CLIENT://127.0.0.1:${port},INTERNAL://127.0.0.1:${internalPort},CONTROLLER://127.0.0.1:${controllerPort}`,
        "advertised.listeners": `CLIENT://${broker.host}:${advertisedPort ?? port},INTERNAL://127.0.0.1:${internalPort}`,
        "listener.security.protocol.map": `CLIENT:${security},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
        ...(security.startsWith("SASL") ? LOGINS : {}),
        ...(security.endsWith("SSL") ? tlsSettings(folder, security === "SSL") : {}),
      });
      return broker;
    }));
    await Promise.all(brokers.map((broker) => broker.restart()));
    return brokers;
  }

  /** HOST:PORT of its clients. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** URL of a topic, without what logging in needs. */
  url(topic: string, query = ""): string {
    return `kafka://${this.address}/${topic}${query}`;
  }

  /** What a client's URL says to trust it. */
  get tlsQuery(): string {
    return `tls=1&ca=${this.#folder}/ca.pem`;
  }

  /** What it says, besides, to show a certificate of its own. */
  get certificateQuery(): string {
    return `cert=${this.#folder}/client.pem&key=${this.#folder}/client.key`;
  }

  /** Does what only an administrator may; of a broker without security. */
  async administer(act: (admin: Admin) => Promise<unknown>): Promise<void> {
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [this.address] });
    try {
      await act(admin);
    } finally {
      await admin.close();
    }
  }

  /** Stops it as a failing machine would, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#keeper === null) return;
    this.signal("SIGKILL");
    await this.#stop();
  }

  signal(signal: Deno.Signal): void {
    Deno.kill(this.#pid, signal);
  }

  /** Starts it again on the same data and ports, after `kill()`. */
  async restart(): Promise<void> {
    const java = ["java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", ...this.#arguments("kafka.Kafka")];
    const keeper = new Deno.Command("sh", {
      args: ["-c", KEEPER, "sh", ...java, `${this.#folder}/server.properties`],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#keeper = keeper;
    const ready = Promise.withResolvers<void>();
    const last: string[] = [];
    const fail = (why: string) => ready.reject(new Error(`Cannot start a Kafka broker: ${why}: ${last.join("\n")}`));
    const timer = setTimeout(() => fail(`not ready after ${READY_TIMEOUT_MS} ms`), READY_TIMEOUT_MS);
    this.#ended = (async () => {
      for await (const line of keeper.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
        if (last.length === 0) this.#pid = Number(line);
        if (last.push(line) > KEPT_LINES) last.splice(1, 1);
        if (line.includes(READY)) ready.resolve();
      }
      fail("it has ended");
    })();
    try {
      await ready.promise;
    } catch (error) {
      await this.#stop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #stop(): Promise<void> {
    const keeper = this.#keeper;
    if (keeper === null) return;
    this.#keeper = null;
    await keeper.stdin.close(); // its keeper kills it
    await this.#ended;
    await keeper.status;
  }

  #arguments(main: string): string[] {
    return ["-cp", `${this.#jars}/*`, `-Dlog4j2.configurationFile=${this.#folder}/log4j2.properties`, "-Djava.awt.headless=true", main];
  }

  async #format(clusterId: string, settings: Readonly<Record<string, string | number>>): Promise<void> {
    const path = `${this.#folder}/server.properties`;
    await Deno.writeTextFile(`${this.#folder}/log4j2.properties`, LOG_TO_STDOUT);
    const lines = Object.entries({ ...settings, "log.dirs": `${this.#folder}/data` }).map(([name, value]) => `${name}=${value}\n`);
    await Deno.writeTextFile(path, lines.join(""));
    const logins = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((name) => ["--add-scram", `${name}=[name=${USER},password=${PASSWORD}]`]);
    await must("java", [...this.#arguments("kafka.tools.StorageTool"), "format", `--cluster-id=${clusterId}`, "-c", path, ...logins]);
  }
}

/** A node that is quick to be ready, whose failure is noticed within seconds, and which makes no topic by itself. */
const NODE = {
  "process.roles": "broker,controller",
  "controller.listener.names": "CONTROLLER",
  "inter.broker.listener.name": "INTERNAL",
  "auto.create.topics.enable": "false",
  "offsets.topic.replication.factor": 1,
  "offsets.topic.num.partitions": 4,
  "transaction.state.log.replication.factor": 1,
  "transaction.state.log.min.isr": 1,
  "transaction.state.log.num.partitions": 4,
  "share.coordinator.state.topic.replication.factor": 1,
  "share.coordinator.state.topic.min.isr": 1,
  "group.initial.rebalance.delay.ms": 0,
  "broker.session.timeout.ms": 2_000,
  "broker.heartbeat.interval.ms": 500,
};

const LOGINS = {
  "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
  "listener.name.client.plain.sasl.jaas.config":
    `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER}="${PASSWORD}";`,
  "listener.name.client.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
  "listener.name.client.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
};

function tlsSettings(folder: string, asksForCertificate: boolean): Record<string, string> {
  return {
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": `${folder}/broker_with_key.pem`,
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": `${folder}/ca.pem`,
    "ssl.client.auth": asksForCertificate ? "required" : "none",
  };
}

const LOG_TO_STDOUT = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c{1})%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
`;

/** An authority, `ca.pem`, and of it a certificate for the name "localhost", `broker.pem`, and one for a client, `client.pem`. */
async function makeCertificates(folder: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  const make = (name: string, subject: string, ...more: string[]) =>
    must("openssl", [
      "req",
      "-x509",
      ...key,
      "-keyout",
      `${folder}/${name}.key`,
      "-out",
      `${folder}/${name}.pem`,
      "-subj",
      `/CN=${subject}`,
      ...more,
    ]);
  await make("ca", "Test authority");
  const byAuthority = ["-CA", `${folder}/ca.pem`, "-CAkey", `${folder}/ca.key`, "-addext", "basicConstraints=CA:FALSE"];
  await make("broker", "localhost", ...byAuthority, "-addext", "subjectAltName=DNS:localhost");
  await make("client", USER, ...byAuthority);
  const both = await Promise.all(["key", "pem"].map((suffix) => Deno.readTextFile(`${folder}/broker.${suffix}`)));
  await Deno.writeTextFile(`${folder}/broker_with_key.pem`, both.join(""));
}

/** Ports that nothing listens on now. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  return listeners.map((listener) => {
    const { port } = listener.addr;
    listener.close();
    return port;
  });
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" })
    .output();
  if (success) return;
  throw new Error(`Cannot run "${command}": ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`);
}
