/** `deno task package:spark`: builds the jar through which Spark may write to a lake beside our own jobs. */

const SOURCE = new URL("skyfall/delta/LinkLogStore.java", import.meta.url).pathname;
/** Of every file in the jar, so that the same source gives the same jar. */
const DATE = "2026-01-01T00:00:00Z";

/**
 * Compiles the log store.
 *
 * @param jarFolders Folders that hold the jars of Spark and of Delta Lake.
 * @throws {Error} If a step fails; the message holds its output.
 */
export async function buildLogStoreJar(jarFolders: readonly string[], output: string): Promise<void> {
  const classes = await Deno.makeTempDir({ prefix: "skyfall-jar-" });
  try {
    const classpath = jarFolders.map((folder) => `${folder}/*`).join(":");
    await must("javac", ["-Xlint:all,-path", "-Werror", "--release", "17", "-classpath", classpath, "-d", classes, SOURCE]);
    await Deno.mkdir(output.slice(0, output.lastIndexOf("/") + 1) || ".", { recursive: true });
    await must("jar", ["--create", "--file", output, "--date", DATE, "-C", classes, "."]);
  } finally {
    await Deno.remove(classes, { recursive: true });
  }
}

async function must(command: string, args: readonly string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" })
    .output();
  if (success) return;
  throw new Error(`Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`);
}

if (import.meta.main) {
  const [output, ...jarFolders] = Deno.args;
  if (output === undefined || jarFolders.length === 0) {
    console.error('usage: deno task package:spark FILE.jar JAR-FOLDER...\n  such as data/packages/skyfall-delta.jar "$SPARK_HOME/jars"');
    Deno.exit(2);
  }
  await buildLogStoreJar(jarFolders, output);
  console.log(output);
}
