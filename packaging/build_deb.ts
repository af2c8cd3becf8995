/** `deno task package`: builds Debian packages of the agent, the collector and the jobs that run without Deno installed and without a network. */

import { taskArguments } from "../chain/program.ts";
import { copyJobs } from "./jobs_tree.ts";
import { kernelProgramFiles } from "./kernel_programs.ts";

const PROJECT = new URL("../", import.meta.url);
const ARCHITECTURES = { x86_64: "amd64", aarch64: "arm64" } as const;
const VERSION = /^\d[0-9A-Za-z.+~]*$/;

/** What a package holds, beside its runtime, its unit `skyfall-NAME.service` and its settings `NAME.yaml`. */
interface PackageContent {
  /** Programs that are bundled, each in a file of its own. */
  readonly entries: readonly string[];
  /** Other files of the project, and where below the package's library they go. */
  readonly files: readonly { readonly from: string; readonly to: string }[];
  /** Below docs/reference/. */
  readonly documents: readonly string[];
  /** The unit's folder in /var/cache. */
  readonly cache: string;
  readonly library: string;
  /** Settings of the kernel, for sysctl.d(5), or null. */
  readonly sysctl: string | null;
  readonly depends: string;
  readonly description: string;
}

const PACKAGES = {
  agent: {
    entries: ["agent/main.ts"],
    files: kernelProgramFiles().map((name) => ({ from: `bpf/${name}`, to: `bpf/${name}` })),
    documents: ["agent_config.md", "agent_rights.md"],
    cache: "skyfall",
    library: "/usr/lib/skyfall",
    sysctl: null,
    depends: "libc6 (>= 2.30), libbpf1",
    description: `observes the conversations of a host with eBPF
 Watches every TCP conversation from inside the kernel, for a few percent of
 one core, and reports it as sFlow version 5 to a collector. Brings its own
 runtime, Deno.`,
  },
  collector: {
    entries: ["collector/main.ts", "collector/worker.ts"],
    files: [],
    documents: ["collector_config.md", "admission.md", "spool.md", "flowmessage.md", "columns.md", "sizing.md"],
    cache: "skyfall-collector",
    library: "/usr/lib/skyfall-collector",
    sysctl: "packaging/skyfall-collector.sysctl",
    depends: "libc6 (>= 2.30)",
    description: `adds up the conversations that a fleet's agents report
 Receives sFlow version 5, aggregates conversations by minute, accounts for
 every event, and publishes rows to a topic. Brings its own runtime, Deno.`,
  },
} as const satisfies Readonly<Record<string, PackageContent>>;

/** The jobs are no one program with one unit: they go in as they are. */
const JOBS = {
  library: "/usr/lib/skyfall-jobs",
  units: ["skyfall-etl.service", "skyfall-dependencies.service"],
  documents: ["lake.md", "dependencies.md", "keep.md", "audit.md", "answers.md", "schedule.md", "spark.md", "columns.md"],
  depends: "libc6 (>= 2.30), libstdc++6, passwd",
  description: `keeps a lake of conversations and answers questions from it
 Moves a topic into a Delta Lake, finds dependencies, compacts, audits, and
 answers by SQL and as a report. Brings its own runtime, Deno, and DuckDB.`,
} as const;

export type PackageName = keyof typeof PACKAGES | "jobs";

/**
 * Builds the package, and returns its path.
 *
 * @param version As in deb-version(7), without an epoch or a revision.
 * @throws {SyntaxError} If it is none.
 * @throws {Error} If a step fails; the message holds its output.
 */
export async function buildPackage(name: PackageName, version: string, outputDirectory: string): Promise<string> {
  if (!VERSION.test(version)) {
    throw new SyntaxError(`Cannot build a package: "${version}" is no version, needed digits, letters, ".", "+", "~"`);
  }
  const architecture = ARCHITECTURES[Deno.build.arch];
  const root = await Deno.makeTempDir({ prefix: "skyfall-package-" });
  try {
    if (name === "jobs") await fillJobs(root);
    else await fill(root, name, PACKAGES[name]);
    await writeFile(root, "/DEBIAN/control", controlFile(name, version, architecture, await installedKib(root)), 0o644);
    await Deno.mkdir(outputDirectory, { recursive: true });
    const path = `${outputDirectory}/skyfall-${name}_${version}_${architecture}.deb`;
    // Every dpkg reads gzip.
    await must("dpkg-deb", ["--root-owner-group", "-Zgzip", "-z6", "--build", root, path]);
    return path;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function fill(root: string, name: keyof typeof PACKAGES, content: PackageContent): Promise<void> {
  const { library, sysctl } = content, service = `skyfall-${name}`;
  await Deno.chmod(root, 0o755);
  for (const entry of content.entries) {
    const output = `${root}${library}/${entry.replace(/\.ts$/, ".js")}`;
    await must(Deno.execPath(), ["bundle", "--quiet", "--platform", "deno", entry, "--output", output]);
  }
  await copyFile(root, Deno.execPath(), `${library}/deno`, 0o755);
  for (const { from, to } of content.files) await copyFile(root, projectPath(from), `${library}/${to}`, 0o644);
  await writeFile(root, `/usr/bin/${service}`, await launcher(name, content), 0o755);
  await copyFile(root, projectPath(`packaging/${service}.service`), `/usr/lib/systemd/system/${service}.service`, 0o644);
  if (sysctl !== null) await copyFile(root, projectPath(sysctl), `/usr/lib/sysctl.d/30-${service}.conf`, 0o644);
  await copyFile(root, projectPath(`packaging/${name}.yaml`), `/etc/skyfall/${name}.yaml`, 0o644);
  for (const document of content.documents) {
    await copyFile(root, projectPath(`docs/reference/${document}`), `/usr/share/doc/${service}/${document}`, 0o644);
  }
  await writeFile(root, "/DEBIAN/conffiles", `/etc/skyfall/${name}.yaml\n`, 0o644);
  for (const script of ["postinst", "prerm", "postrm"]) {
    const text = await Deno.readTextFile(projectPath(`packaging/deb/${script}`));
    await writeFile(root, `/DEBIAN/${script}`, text.replaceAll("@SERVICE@", service).replaceAll("@CACHE@", content.cache), 0o755);
  }
}

async function fillJobs(root: string): Promise<void> {
  const { library, units, documents } = JOBS;
  await Deno.chmod(root, 0o755);
  await Deno.mkdir(root + library, { recursive: true, mode: 0o755 });
  await copyJobs(root + library);
  await copyFile(root, Deno.execPath(), `${library}/deno`, 0o755);
  await writeFile(root, "/usr/bin/skyfall-jobs", await jobsLauncher(), 0o755);
  for (const unit of units) await copyFile(root, projectPath(`packaging/${unit}`), `/usr/lib/systemd/system/${unit}`, 0o644);
  await copyFile(root, projectPath("packaging/jobs.env"), "/etc/skyfall/jobs.env", 0o644);
  for (const document of documents) {
    await copyFile(root, projectPath(`docs/reference/${document}`), `/usr/share/doc/skyfall-jobs/${document}`, 0o644);
  }
  await writeFile(root, "/DEBIAN/conffiles", "/etc/skyfall/jobs.env\n", 0o644);
  for (const script of ["postinst", "prerm", "postrm"]) {
    await copyFile(root, projectPath(`packaging/deb/jobs_${script}`), `/DEBIAN/${script}`, 0o755);
  }
}

/** The jobs' task with its permissions. A service's cache is its own, a user's in their home; nothing is ever fetched or asked. */
async function jobsLauncher(): Promise<string> {
  const { library } = JOBS, words = (await taskArguments("jobs")).slice(1, -1);
  const own = ["--config", `${library}/deno.json`, "--node-modules-dir=manual", "--no-lock", "--no-remote", "--no-prompt", "--no-check"];
  return `#!/bin/sh
# Made by packaging/build_deb.ts: starts the jobs with the permissions that their task has in the sources.
DENO_DIR="\${CACHE_DIRECTORY:-\${XDG_CACHE_HOME:-\${HOME:-/tmp}/.cache}/skyfall-jobs}" DENO_NO_UPDATE_CHECK=1 SKYFALL_JOBS=/usr/bin/skyfall-jobs
export DENO_DIR DENO_NO_UPDATE_CHECK SKYFALL_JOBS
exec ${library}/deno run ${[...own, ...words].map((word) => `'${word}'`).join(" ")} ${library}/jobs/main.ts "$@"
`;
}

/** The program's task with its permissions, for the bundle; nothing is ever fetched or asked. */
async function launcher(name: keyof typeof PACKAGES, { cache, library }: PackageContent): Promise<string> {
  const words = (await taskArguments(name)).slice(1, -1);
  const options = ["--no-config", "--no-lock", "--no-remote", "--no-npm", "--no-prompt", ...words].map((word) => `'${word}'`);
  return `#!/bin/sh
# Made by packaging/build_deb.ts: starts the ${name} with the permissions that its task has in the sources.
DENO_DIR="\${CACHE_DIRECTORY:-/var/cache/${cache}}" DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
export DENO_DIR DENO_NO_UPDATE_CHECK NO_COLOR
exec ${library}/deno run ${options.join(" ")} ${library}/${name}/main.js "$@"
`;
}

function controlFile(name: PackageName, version: string, architecture: string, installedKib: number): string {
  const { depends, description } = name === "jobs" ? JOBS : PACKAGES[name];
  return `Package: skyfall-${name}
Version: ${version}
Architecture: ${architecture}
Maintainer: Skyfall <skyfall@localhost>
Installed-Size: ${installedKib}
Depends: ${depends}
Section: net
Priority: optional
Description: ${description}
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
  for (const name of ["agent", "collector", "jobs"] as const) {
    console.log(await buildPackage(name, version, outputDirectory ?? projectPath("data/packages")));
  }
}
