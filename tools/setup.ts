/** Installs what this host lacks for a purpose: says what and why, and does nothing where nothing is missing. */

import { fetchKernels } from "./kernels.ts";

/** Something that a purpose needs. */
interface Need {
  /** Debian package. */
  readonly apt: string;
  readonly why: string;
  /** Whether it is there already. */
  readonly isPresent: () => Promise<boolean>;
}

const LIBRARY_FOLDERS = [`/usr/lib/${Deno.build.arch}-linux-gnu`, "/usr/lib64", "/usr/lib", "/lib"];

const RUN: readonly Need[] = [library("libbpf1", "libbpf.so.1", "loads the agent's programs into the kernel")];

const VIRTUAL_MACHINES: readonly Need[] = [
  command("qemu-system-x86", "qemu-system-x86_64", "runs the kernels"),
  command("busybox-static", "busybox", "starts them"),
  command("cpio", "cpio", "packs their first file system"),
  command("xz-utils", "xz", "unpacks older kernels"),
  command("zstd", "zstd", "unpacks newer kernels"),
  command("llvm-14", "llvm-objcopy-14", "takes a kernel's type information out of it"),
];

const TEST: readonly Need[] = [
  ...RUN,
  command("clang-14", "clang-14", "rebuilds the kernel programs, to see that the committed ones are fresh"),
  command("llvm-14", "llvm-strip-14", "strips them"),
  command("bpftool", "bpftool", "tells the compiler the structures of kernels that do not tell them"),
  file("libbpf-dev", "/usr/include/bpf/bpf_helpers.h", "headers of the kernel programs"),
  command("tshark", "tshark", "dissects our datagrams"),
  command("pmacct", "sfacctd", "reads our datagrams; its pmacctd sends us some"),
  command("golang-go", "go", "builds goflow2, which reads our datagrams"),
  command("python3-venv", "python3", "runs delta-rs and Spark, which read the lake"),
  command("openjdk-17-jdk-headless", "javac", "runs Spark and a Kafka broker, and builds what Spark commits to the lake with"),
  command("maven", "mvn", "fetches Spark's Delta Lake reader and the Kafka broker"),
  command("openssl", "openssl", "makes the certificates of a Kafka broker"),
  command("iproute2", "ip", "makes network namespaces"),
  command("chromium", "chromium", "opens the report"),
  file("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "has letters for it"),
  command("bpftool", "bpftool", "lists the kernel programs, and reads their run statistics"),
  ...VIRTUAL_MACHINES,
];

const BENCH: readonly Need[] = [
  ...TEST,
  command("libbpf-tools", "tcplife", "the peer of the kernel cost bench"),
  command("iperf3", "iperf3", "the stream of the interference bench"),
  command("softflowd", "softflowd", "the peer of the interference bench"),
];

const KERNEL: readonly Need[] = [...RUN, ...VIRTUAL_MACHINES];

/** What each purpose needs. */
export const PURPOSES: Readonly<Record<string, readonly Need[]>> = { run: RUN, test: TEST, kernel: KERNEL, bench: BENCH };

/** Purposes that boot the kernels of the test matrix. */
const WITH_KERNELS = ["test", "kernel"];

/**
 * Installs what is missing.
 *
 * @returns Null, or where this user may not install, the command that would.
 * @throws {Error} If the installation fails; the message holds its output.
 */
export async function setUp(needs: readonly Need[]): Promise<string | null> {
  const present = await Promise.all(needs.map((need) => need.isPresent()));
  const missing = needs.filter((_, i) => !present[i]);
  if (missing.length === 0) return null;
  for (const { apt, why } of missing) console.log(`missing: ${apt} (${why})`);
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...missing.map(({ apt }) => apt)];
  if (Deno.uid() !== 0) return `apt-get update && ${install.join(" ")}`;
  console.log(`installing ${missing.map(({ apt }) => apt).join(", ")} with apt-get`);
  await apt(["update"]);
  await apt(install.slice(1));
  return null;
}

async function apt(args: readonly string[]): Promise<void> {
  const command = new Deno.Command("apt-get", {
    args: ["-qq", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) {
    throw new Error(`Cannot run apt-get ${args.join(" ")}: ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`);
  }
}

function library(apt: string, soname: string, why: string): Need {
  return { apt, why, isPresent: () => anyExists(LIBRARY_FOLDERS.map((folder) => `${folder}/${soname}`)) };
}

function file(apt: string, path: string, why: string): Need {
  return { apt, why, isPresent: () => anyExists([path]) };
}

function command(apt: string, name: string, why: string): Need {
  const folders = (Deno.env.get("PATH") ?? "/usr/bin:/usr/sbin").split(":");
  return { apt, why, isPresent: () => anyExists([...folders, "/usr/sbin"].map((folder) => `${folder}/${name}`)) };
}

async function anyExists(paths: readonly string[]): Promise<boolean> {
  for (const path of paths) {
    try {
      await Deno.stat(path);
      return true;
    } catch (error) {
      const { NotFound, NotADirectory, PermissionDenied } = Deno.errors; // what this user may not see it cannot run
      if (![NotFound, NotADirectory, PermissionDenied].some((kind) => error instanceof kind)) throw error;
    }
  }
  return false;
}

/** CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF of capability.h, as bits of a capability set. */
const OBSERVER_CAPABILITIES = 1n << 12n | 1n << 38n | 1n << 39n;

/** Whether programs that this user starts may load kernel programs (proc(5), CapEff). */
async function mayObserve(): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await Deno.readTextFile("/proc/self/status"))?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) & OBSERVER_CAPABILITIES) === OBSERVER_CAPABILITIES;
}

if (import.meta.main) {
  const purpose = Deno.args[0] ?? "run";
  const needs = PURPOSES[purpose];
  if (needs === undefined) {
    console.error(`Cannot set up "${purpose}": needed one of ${Object.keys(PURPOSES).join(", ")}`);
    Deno.exit(2);
  }
  const remedy = await setUp(needs);
  if (remedy !== null) {
    console.error(`Cannot install without root; run this, then try again:\n  sudo sh -c '${remedy}'`);
    Deno.exit(1);
  }
  if (WITH_KERNELS.includes(purpose)) await fetchKernels();
  if (purpose === "run" && !await mayObserve()) {
    console.error(
      `Cannot observe as this user: the agent loads programs into the kernel, which needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; run\n` +
        `  sudo env "PATH=$PATH" npx -y deno task demo`,
    );
    Deno.exit(1);
  }
}
