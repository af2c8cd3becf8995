/** Kernels that the agent is tested on: fetched as Debian packages from this machine's mirror, unpacked, never installed. */

import { CLANG_MAJOR } from "./build_bpf.ts";
import { CACHE } from "./cache.ts";
import { readIfPresent } from "./present.ts";

/** One kernel of the test matrix. */
export interface KernelSource {
  readonly series: string;
  /** Debian suite that offers it. */
  readonly suite: string;
  /** What `uname -r` says; another release of the series is taken where the mirror no longer has this one. */
  readonly release: string;
  /** Whether no other release of the series will do. */
  readonly exactly?: boolean;
  /** Names of its packages, without the release. */
  readonly packages: readonly string[];
}

/** An unpacked kernel. */
export interface Kernel {
  readonly series: string;
  readonly release: string;
  readonly vmlinuz: string;
  /** Folder with the modules that a virtual machine needs, uncompressed. */
  readonly modules: string;
  /** The kernel's own type information: the content of /sys/kernel/btf/vmlinux. */
  readonly btf: string;
}

/** Oldest first. From 6.19 to 7.1 the mirror has no modules, without which the host's files cannot be mounted. */
export const KERNELS: readonly KernelSource[] = [
  { series: "5.10", suite: "bullseye", release: "5.10.0-32-amd64", packages: ["linux-image-"] },
  { series: "6.1", suite: "bookworm", release: "6.1.0-50-amd64", packages: ["linux-image-"] },
  { series: "6.12", suite: "trixie", release: "6.12.117+deb13-amd64", packages: ["linux-image-"] },
  { series: "6.18", suite: "trixie-backports", release: "6.18.15+deb13-amd64", packages: ["linux-image-"] },
  { series: "7.3", suite: "trixie-backports", release: "7.3.4+deb13-amd64", packages: ["linux-binary-", "linux-modules-"] },
];

/** Modules that mount the host's files, in the order in which they are loaded; a kernel may have some of them built in. */
export const BOOT_MODULES = [
  "virtio",
  "virtio_ring",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "netfs",
  "fscache",
  "9pnet",
  "9pnet_virtio",
  "9p",
  "overlay",
];

const FOLDER = `${CACHE}/kernels`;
const APT = `${FOLDER}/apt`;

/** Fetches the kernels of the matrix that the cache does not hold; says which, as each takes a minute. */
export async function fetchKernels(): Promise<void> {
  for (const source of KERNELS) {
    if (await keptRelease(source) !== null) continue;
    console.log(`fetching kernel ${source.series} from Debian's ${source.suite} (the test matrix boots it)`);
    await fetchKernel(source);
  }
}

/** A kernel of the matrix, fetched where the cache does not hold its series. */
export async function fetchKernel(source: KernelSource): Promise<Kernel> {
  const kept = await keptRelease(source);
  if (kept !== null) return kernelAt(source.series, kept);
  const release = await offeredRelease(source);
  await unpack(source, release, `${FOLDER}/${release}`);
  return kernelAt(source.series, release);
}

function kernelAt(series: string, release: string): Kernel {
  const folder = `${FOLDER}/${release}`;
  return { series, release, vmlinuz: `${folder}/vmlinuz`, modules: `${folder}/modules`, btf: `${folder}/vmlinux.btf` };
}

/** The release of a series that the cache holds, or null. */
export async function keptRelease(source: KernelSource): Promise<string | null> {
  await Deno.mkdir(FOLDER, { recursive: true });
  const names = await Array.fromAsync(Deno.readDir(FOLDER), ({ name }) => name);
  const kept = names.filter((name) => isOfSeries(name, source.series)).sort();
  if (kept.includes(source.release)) return source.release;
  return source.exactly ? null : kept.at(-1) ?? null;
}

/** The release that is named, or the newest of its series that the mirror has. */
async function offeredRelease({ series, suite, release, exactly, packages }: KernelSource): Promise<string> {
  await writeAptSources(suite);
  await run("apt-get", ["-qq", ...aptOptions(suite), "update"]);
  const offered = await Promise.all(packages.map(async (prefix) => {
    const names = await run("apt-cache", [...aptOptions(suite), "pkgnames", `${prefix}${series}.`]);
    return new Set(names.trim().split("\n").map((name) => name.slice(prefix.length)));
  }));
  const releases = [...offered[0]!].filter((name) => isOfSeries(name, series) && offered.every((names) => names.has(name)));
  if (releases.includes(release)) return release;
  const newest = releases.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
  if (newest === undefined || exactly) {
    throw new Error(
      `Cannot fetch kernel ${release}: suite "${suite}" of this machine's mirror has of its series ${releases.join(", ") || "none"}`,
    );
  }
  return newest;
}

function isOfSeries(release: string, series: string): boolean {
  return release.startsWith(`${series}.`) && release.endsWith("-amd64") && !/-(rt|cloud)-/.test(release);
}

/** A list of sources of its own, so that the machine's package state is left alone. */
async function writeAptSources(suite: string): Promise<void> {
  for (const folder of ["lists/partial", "cache/archives/partial"]) await Deno.mkdir(`${APT}/${suite}/${folder}`, { recursive: true });
  await Deno.writeTextFile(`${APT}/${suite}/sources.list`, `deb ${await mirror()} ${suite} main\n`);
}

function aptOptions(suite: string): string[] {
  const folder = `${APT}/${suite}`;
  const options = {
    "Dir::Etc::SourceList": `${folder}/sources.list`,
    "Dir::Etc::SourceParts": "-",
    "Dir::State::Lists": `${folder}/lists`,
    "Dir::Cache": `${folder}/cache`,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
  };
  return Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
}

/** The address that this machine's own packages come from, in either form of sources.list(5). */
async function mirror(): Promise<string> {
  const parts = await Array.fromAsync(Deno.readDir("/etc/apt/sources.list.d"), ({ name }) => `/etc/apt/sources.list.d/${name}`);
  const addresses: string[] = [];
  for (const path of ["/etc/apt/sources.list", ...parts.filter((name) => /\.(list|sources)$/.test(name)).sort()]) {
    for (const line of (await readIfPresent(path)).split("\n")) {
      const address = /^URIs:\s*(\S+)/.exec(line)?.[1] ?? /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/.exec(line)?.[1];
      if (address !== undefined) addresses.push(address);
    }
  }
  const found = addresses.find((address) => /\/debian\/?$/.test(address));
  if (found === undefined) throw new Error("Cannot fetch kernels: no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d");
  return found;
}

/** Keeps of a kernel's packages what is needed, some 30 MB of 600. Written aside, then renamed: a folder that is there is whole. */
async function unpack(source: KernelSource, release: string, folder: string): Promise<void> {
  const scratch = await Deno.makeTempDir({ dir: FOLDER, prefix: "unpacking-" });
  try {
    const names = source.packages.map((prefix) => `${prefix}${release}`);
    await run("apt-get", ["-qq", ...aptOptions(source.suite), "download", ...names], scratch);
    const packages = await Array.fromAsync(Deno.readDir(scratch), ({ name }) => `${scratch}/${name}`);
    for (const path of packages) await run("dpkg-deb", ["-x", path, `${scratch}/x`]);
    const paths = (await run("find", [`${scratch}/x`, "-type", "f"])).trim().split("\n");
    await Deno.mkdir(`${scratch}/kept/modules`, { recursive: true });
    await Deno.copyFile(paths.find((path) => /\/vmlinuz[^/]*$/.test(path))!, `${scratch}/kept/vmlinuz`);
    for (const name of BOOT_MODULES) {
      const path = paths.find((path) => path.replace(/\.(xz|zst)$/, "").endsWith(`/${name}.ko`));
      if (path !== undefined) await expandFile(path, `${scratch}/kept/modules/${name}.ko`);
    }
    await extractBtf(`${scratch}/kept/vmlinuz`, `${scratch}/vmlinux`, `${scratch}/kept/vmlinux.btf`);
    await Deno.rename(`${scratch}/kept`, folder);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** How a kernel image or a module may be packed, by its first bytes. */
const PACKINGS: readonly { readonly magic: readonly number[]; readonly command: readonly string[] }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], command: ["xz", "-dc", "--single-stream"] },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: ["zstd", "-dc", "-q"] },
];
const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];

async function expandFile(from: string, to: string): Promise<void> {
  const bytes = await Deno.readFile(from);
  const packing = PACKINGS.find(({ magic }) => startsWith(bytes, 0, magic));
  await Deno.writeFile(to, packing === undefined ? bytes : await expand(packing.command, bytes));
}

/** Unpacks the kernel proper out of its boot image, as the kernel's scripts/extract-vmlinux does, and takes its section .BTF. */
async function extractBtf(vmlinuz: string, vmlinux: string, btf: string): Promise<void> {
  const image = await Deno.readFile(vmlinuz);
  for (const { magic, command } of PACKINGS) {
    for (let at = image.indexOf(magic[0]!); at >= 0; at = image.indexOf(magic[0]!, at + 1)) {
      if (!startsWith(image, at, magic)) continue;
      const kernel = await expand(command, image.subarray(at));
      if (!startsWith(kernel, 0, ELF_MAGIC)) continue;
      await Deno.writeFile(vmlinux, kernel);
      await run(`llvm-objcopy-${CLANG_MAJOR}`, [`--dump-section=.BTF=${btf}`, vmlinux, "/dev/null"]);
      return;
    }
  }
  throw new Error(`Cannot unpack kernel "${vmlinuz}": it is packed neither with xz nor with zstd`);
}

function startsWith(bytes: Uint8Array, at: number, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[at + i] === byte);
}

/** Output of a program that unpacks; what follows the packed part makes it end with an error, after it wrote all of it. */
async function expand(command: readonly string[], packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command(command[0]!, { args: command.slice(1), stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const [{ stdout }] = await Promise.all([child.output(), feed(child.stdin, packed)]);
  return stdout;
}

async function feed(stdin: WritableStream<Uint8Array<ArrayBuffer>>, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(bytes);
    await writer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // it has read all that it wanted
  }
}

async function run(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
