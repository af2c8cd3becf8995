/** Third parties' programs that the tests and benches read us with, installed once into the user's cache. */

import { exists } from "./present.ts";

/** Where they are kept. */
export const CACHE = `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/skyfall`;

const GOFLOW2 = "github.com/netsampler/goflow2/v2/cmd/goflow2@v2.2.6";
const PYTHON_PACKAGES = ["confluent-kafka==2.16.1", "deltalake==1.6.6", "pandas==2.3.3", "pyarrow==21.0.0", "pyspark==4.0.5"];
const DUCKDB_VERSION = "1.5.5";
const CHDB_PACKAGE = "chdb-core==26.9.0";
const KAFKA_JARS = ["org.apache.kafka:kafka_2.13:4.4.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"];
const MAVEN_DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";
const SPARK_KAFKA_JARS = [
  "org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.0",
  "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0",
  "org.apache.kafka:kafka-clients:3.9.1",
  "org.apache.commons:commons-pool2:2.12.0",
];
const SPARK_JARS = ["io.delta:delta-spark_2.13:4.0.1", "io.delta:delta-storage:4.0.1", "org.antlr:antlr4-runtime:4.13.1"];

/** Path of goflow2, an sFlow collector; built from source where it is not there yet. */
export async function goflow2(): Promise<string> {
  const path = `${CACHE}/bin/goflow2`;
  if (!await exists(path)) await must("go", ["install", GOFLOW2], { GOBIN: `${CACHE}/bin` });
  return path;
}

/** Path of a program that reads FlowMessages with goflow2's own schema (tests/goflow2_reader). */
export async function goflow2Reader(): Promise<string> {
  const path = `${CACHE}/bin/goflow2_reader`;
  if (!await exists(path)) await must("go", ["-C", new URL("../tests/goflow2_reader", import.meta.url).pathname, "build", "-o", path, "."]);
  return path;
}

/** Path of a Python that has delta-rs, PyArrow, Spark and librdkafka. */
export async function python(): Promise<string> {
  const path = `${CACHE}/python/bin/python3`;
  const marker = `${CACHE}/python/${PYTHON_PACKAGES.join("_")}`;
  if (await exists(marker)) return path;
  await must("python3", ["-m", "venv", `${CACHE}/python`]);
  await must(path, ["-m", "pip", "install", "--quiet", "--no-cache-dir", ...PYTHON_PACKAGES]);
  await Deno.writeTextFile(marker, "");
  return path;
}

/** Path of DuckDB's own reader of Delta Lake, an extension for the version of DuckDB that the jobs have. */
export async function deltaExtension(): Promise<string> {
  const folder = `${CACHE}/duckdb-extension-delta-${DUCKDB_VERSION}`;
  const path = `${folder}/duckdb_extension_delta/extensions/v${DUCKDB_VERSION}/delta.duckdb_extension`;
  const requirement = `duckdb-extension-delta==${DUCKDB_VERSION}`;
  if (!await exists(path)) {
    await must(await python(), ["-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-deps", "--target", folder, requirement]);
  }
  return path;
}

/** Path of a Python that has ClickHouse, as a library. */
export async function chdbPython(): Promise<string> {
  const path = `${CACHE}/chdb/bin/python3`, marker = `${CACHE}/chdb/${CHDB_PACKAGE}`;
  if (await exists(marker)) return path;
  await must("python3", ["-m", "venv", `${CACHE}/chdb`]);
  await must(path, ["-m", "pip", "install", "--quiet", "--no-cache-dir", CHDB_PACKAGE]);
  await Deno.writeTextFile(marker, "");
  return path;
}

/** Paths of the jars that let Spark read Delta Lake. */
export function sparkJars(): Promise<string[]> {
  return jars(SPARK_JARS);
}

/** Paths of the jars that let Spark read a Kafka topic too. */
export function sparkKafkaJars(): Promise<string[]> {
  return jars([...SPARK_JARS, ...SPARK_KAFKA_JARS]);
}

async function jars(names: readonly string[]): Promise<string[]> {
  const folder = `${CACHE}/jars`;
  const path = (jar: string) => `${folder}/${jar.split(":").slice(1).join("-")}.jar`;
  for (const jar of names) {
    if (await exists(path(jar))) continue;
    await must("mvn", [
      "--quiet",
      "--batch-mode",
      `${MAVEN_DEPENDENCY_PLUGIN}:copy`,
      `-Dartifact=${jar}`,
      `-DoutputDirectory=${folder}`,
    ]);
  }
  return names.map(path);
}

/** Folders of all jars of Spark and of its Delta Lake. */
export async function sparkJarFolders(): Promise<string[]> {
  const home = (await must(await python(), ["-c", "import pyspark; print(pyspark.__path__[0])"])).trim();
  await sparkJars();
  return [`${home}/jars`, `${CACHE}/jars`];
}

/** Folder of the jars of a Kafka broker, with all that they depend on. */
export async function kafkaJars(): Promise<string> {
  const folder = `${CACHE}/${KAFKA_JARS[0]!.split(":").slice(1).join("-")}`;
  if (await exists(folder)) return folder;
  const dependency = ([group, artifact, version]: string[]) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  await Deno.mkdir(CACHE, { recursive: true });
  const making = await Deno.makeTempDir({ dir: CACHE });
  await Deno.writeTextFile(
    `${making}/pom.xml`,
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>skyfall</groupId><artifactId>kafka</artifactId>
    <version>1</version><packaging>pom</packaging><dependencies>${
      KAFKA_JARS.map((jar) => dependency(jar.split(":"))).join("")
    }</dependencies></project>`,
  );
  const goal = [`${MAVEN_DEPENDENCY_PLUGIN}:copy-dependencies`, "-DincludeScope=runtime", `-DoutputDirectory=${making}/jars`];
  await must("mvn", ["--quiet", "--batch-mode", "--file", `${making}/pom.xml`, ...goal]);
  await Deno.rename(`${making}/jars`, folder);
  await Deno.remove(making, { recursive: true });
  return folder;
}

async function must(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: { ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`Cannot run "${command} ${args.join(" ")}": ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`);
  }
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  console.log(await goflow2());
  console.log(await goflow2Reader());
  console.log(await python());
  console.log(await sparkJars());
  console.log(await kafkaJars());
}
