/** Real Spark with Delta Lake, in a process of its own, that tests speak SQL to. */

import { TextLineStream } from "../../chain/text_line_stream.ts";
import { buildLogStoreJar } from "../../packaging/spark/build_jar.ts";
import { python, sparkJarFolders, sparkJars } from "../../tools/cache.ts";
import { firstMissing, type Missing, missingCommand } from "../require.ts";

export type SparkRow = Readonly<Record<string, unknown>>;

/** How a commit is written: by the store that we ship, or by the one that Delta Lake takes by itself. */
export type LogStoreName = "skyfall.delta.LinkLogStore" | "default";

/** What running Spark needs of the host. */
export async function missingSpark(): Promise<Missing> {
  return firstMissing(
    await missingCommand("python3", "--version"),
    await missingCommand("java", "-version"),
    await missingCommand("javac", "-version"),
    await missingCommand("mvn", "--version"),
  );
}

/** Settings that docs/reference/spark.md tells users, the log store apart. */
export const SETTINGS: Readonly<Record<string, string>> = {
  "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
  "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
  "spark.sql.session.timeZone": "UTC",
  "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
};

/** For a small machine without a network. */
const TEST_SETTINGS: Readonly<Record<string, string>> = {
  "spark.driver.host": "127.0.0.1",
  "spark.driver.bindAddress": "127.0.0.1",
  "spark.ui.enabled": "false",
  "spark.sql.shuffle.partitions": "2",
  // A plan that is compiled takes longer than these few rows.
  "spark.sql.codegen.wholeStage": "false",
  "spark.sql.codegen.factoryMode": "NO_CODEGEN",
  "spark.sql.adaptive.enabled": "false",
  "spark.databricks.delta.snapshotPartitions": "2",
  "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
  "spark.databricks.delta.retentionDurationCheck.enabled": "false",
  "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
  "spark.log.level": "ERROR",
  "spark.ui.showConsoleProgress": "false",
};

/** A session; dispose of it to end the process. */
export class Spark implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#requests = child.stdin.getWriter();
    this.#answers = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  static async start(store: LogStoreName, settings: Readonly<Record<string, string>> = {}): Promise<Spark> {
    const warehouse = await Deno.makeTempDir();
    const jars = [...await sparkJars(), await logStoreJar()];
    const all = {
      ...SETTINGS,
      ...TEST_SETTINGS,
      ...(store === "default" ? {} : { "spark.delta.logStore.file.impl": store }),
      "spark.jars": jars.join(","),
      "spark.driver.extraClassPath": jars.join(":"),
      "spark.sql.warehouse.dir": warehouse,
      ...settings,
    };
    const child = new Deno.Command(await python(), {
      args: [new URL("session.py", import.meta.url).pathname, ...Object.entries(all).map(([name, value]) => `${name}=${value}`)],
      env: { SPARK_LOCAL_IP: "127.0.0.1", TZ: "UTC" },
      stdin: "piped",
      stdout: "piped",
      stderr: Deno.env.has("SPARK_STDERR") ? "inherit" : "null",
    }).spawn();
    const spark = new Spark(child);
    await spark.#answer();
    return spark;
  }

  /** Rows of a query or a statement. @throws {Error} If Spark refuses or fails. */
  async sql(text: string): Promise<readonly SparkRow[]> {
    return await this.#ask({ sql: text }) as readonly SparkRow[];
  }

  /** Tries to write versions 0 to before `versions` of a log, and returns those that the store says it wrote. */
  async race(store: string, log: string, versions: number): Promise<readonly number[]> {
    return await this.#ask({ race: { store, log, versions } }) as readonly number[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close();
    await this.#answers.cancel();
    await this.#child.status;
  }

  async #ask(request: object): Promise<unknown> {
    await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const { answer, error } = await this.#answer();
    if (error !== undefined) throw new Error(`Cannot run "${JSON.stringify(request)}" in Spark: ${error}`);
    return answer;
  }

  async #answer(): Promise<{ readonly answer?: unknown; readonly error?: string }> {
    const { value } = await this.#answers.read();
    if (value === undefined) throw new Error(`Cannot go on with Spark: it ended with ${(await this.#child.status).code}`);
    return JSON.parse(value);
  }
}

/** Makes Spark be found by what this process starts: on the path, and with its settings in a folder. */
export async function configureSpark(): Promise<void> {
  const folder = await Deno.makeTempDir(), path = await python();
  const settings = { ...TEST_SETTINGS, "spark.master": "local[2]", "spark.jars": (await sparkJars()).join(",") };
  await Deno.writeTextFile(`${folder}/spark-defaults.conf`, Object.entries(settings).map(([name, value]) => `${name} ${value}\n`).join(""));
  Deno.env.set("SPARK_CONF_DIR", folder);
  Deno.env.set("SPARK_LOCAL_IP", "127.0.0.1");
  Deno.env.set("PATH", `${path.slice(0, path.lastIndexOf("/"))}:${Deno.env.get("PATH")}`);
}

let built: Promise<string> | null = null;

/** The jar that we ship, built once a process. */
function logStoreJar(): Promise<string> {
  built ??= (async () => {
    const path = `${await Deno.makeTempDir()}/skyfall-delta.jar`;
    await buildLogStoreJar(await sparkJarFolders(), path);
    return path;
  })();
  return built;
}
