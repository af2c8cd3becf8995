/** `deno task package`: builds a Debian package of the agent that runs without Deno installed and without a network. */

import { taskArguments } from "../chain/program.ts";
import { kernelProgramFiles } from "./kernel_programs.ts";

const PROJECT = new URL("../", import.meta.url);
const LIBRARY = "/usr/lib/skyfall";
const DOCUMENTS = "/usr/share/doc/skyfall-agent";
const ARCHITECTURES = { x86_64: "amd64", aarch64: "arm64" } as const;
const VERSION = /^\d[0-9A-Za-z.+~]*$/;

/**
 * Builds the package, and returns its path.
 *
 * @param version As in deb-version(7), without an epoch or a revision.
 * @throws {SyntaxError} If it is none.
 * @throws {Error} If a step fails; the message holds its output.
 */
export async function buildPackage(version: string, outputDirectory: string): Promise<string> {
  if (!VERSION.test(version)) {
    throw new SyntaxError(`Cannot build a package: "${version}" is no version, needed digits, letters, ".", "+", "~"`);
  }
  const architecture = ARCHITECTURES[Deno.build.arch];
  const root = await Deno.makeTempDir({ prefix: "skyfall-package-" });
  try {
    await fill(root);
    await writeFile(root, "/DEBIAN/control", controlFile(version, architecture, await installedKib(root)), 0o644);
    await Deno.mkdir(outputDirectory, { recursive: true });
    const path = `${outputDirectory}/skyfall-agent_${version}_${architecture}.deb`;
    // Every dpkg reads gzip.
    await must("dpkg-deb", ["--root-owner-group", "-Zgzip", "-z6", "--build", root, path]);
    return path;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function fill(root: string): Promise<void> {
  await Deno.chmod(root, 0o755);
  await must(Deno.execPath(), ["bundle", "--quiet", "--platform", "deno", "agent/main.ts", "--output", `${root}${LIBRARY}/agent/main.js`]);
  await copyFile(root, Deno.execPath(), `${LIBRARY}/deno`, 0o755);
  for (const name of kernelProgramFiles()) await copyFile(root, projectPath(`bpf/${name}`), `${LIBRARY}/bpf/${name}`, 0o644);
  await writeFile(root, "/usr/bin/skyfall-agent", await launcher(), 0o755);
  await copyFile(root, projectPath("packaging/skyfall-agent.service"), "/usr/lib/systemd/system/skyfall-agent.service", 0o644);
  await copyFile(root, projectPath("packaging/agent.yaml"), "/etc/skyfall/agent.yaml", 0o644);
  for (const name of ["agent_config.md", "agent_rights.md"]) {
    await copyFile(root, projectPath(`docs/reference/${name}`), `${DOCUMENTS}/${name}`, 0o644);
  }
  await writeFile(root, "/DEBIAN/conffiles", "/etc/skyfall/agent.yaml\n", 0o644);
  for (const name of ["postinst", "prerm", "postrm"]) await copyFile(root, projectPath(`packaging/deb/${name}`), `/DEBIAN/${name}`, 0o755);
}

/** The agent's task with its permissions, for the bundle; nothing is ever fetched or asked. */
async function launcher(): Promise<string> {
  const words = (await taskArguments("agent")).slice(1, -1);
  const options = ["--no-config", "--no-lock", "--no-remote", "--no-npm", "--no-prompt", ...words].map((word) => `'${word}'`);
  return `#!/bin/sh
# Made by packaging/build_deb.ts: starts the agent with the permissions that its task has in the sources.
DENO_DIR="\${CACHE_DIRECTORY:-/var/cache/skyfall}" DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
export DENO_DIR DENO_NO_UPDATE_CHECK NO_COLOR
exec ${LIBRARY}/deno run ${options.join(" ")} ${LIBRARY}/agent/main.js "$@"
`;
}

function controlFile(version: string, architecture: string, installedKib: number): string {
  return `Package: skyfall-agent
Version: ${version}
Architecture: ${architecture}
Maintainer: Skyfall <skyfall@localhost>
Installed-Size: ${installedKib}
Depends: libc6 (>= 2.30), libbpf1
Section: net
Priority: optional
Description: observes the conversations of a host with eBPF
 Watches every TCP conversation from inside the kernel, for a few percent of
 one core, and reports it as sFlow version 5 to a collector. Brings its own
 runtime, Deno.
`;
}

async function installedKib(root: string): Promise<number> {
  return Number((await must("du", ["--summarize", "--block-size=1024", root])).split("\t")[0]);
}

async function writeFile(root: string, path: string, text: string, mode: number): Promise<void> {
  await makeFolder(root, path);
  await Deno.writeTextFile(root + path, text);
  await Deno.chmod(root + path, mode);
}

async function copyFile(root: string, from: string, path: string, mode: number): Promise<void> {
  await makeFolder(root, path);
  await Deno.copyFile(await Deno.realPath(from), root + path);
  await Deno.chmod(root + path, mode);
}

async function makeFolder(root: string, path: string): Promise<void> {
  await Deno.mkdir(root + path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o755 });
}

function projectPath(path: string): string {
  return new URL(path, PROJECT).pathname;
}

async function must(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: PROJECT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${text}${new TextDecoder().decode(stderr)}`);
  return text;
}

if (import.meta.main) {
  const [version, outputDirectory] = Deno.args;
  if (version === undefined) {
    console.error("usage: deno task package VERSION [FOLDER]");
    Deno.exit(2);
  }
  console.log(await buildPackage(version, outputDirectory ?? projectPath("data/packages")));
}
