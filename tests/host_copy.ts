/** A copy of this host to install into: an overlay over its root, in a mount and network namespace of its own. */

import { TextLineStream } from "../chain/text_line_stream.ts";
import { PROJECT } from "./sources.ts";

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Sets the copy up and holds it until standard input ends, at an empty folder. What is written to it is kept in memory. The
 * other arguments are folders that it must not see.
 */
const HOLD = `
d=$1; shift
mount -t tmpfs tmpfs $d; mkdir $d/upper $d/work $d/host
mount -t overlay overlay -o lowerdir=/,upperdir=$d/upper,workdir=$d/work $d/host
for f in proc sys dev; do mount --rbind /$f $d/host/$f; done
for f in "$@"; do mkdir -p $d/host$f; mount -t tmpfs tmpfs $d/host$f; done
mkdir -p $d/host/run/systemd; rm -rf $d/host/run/systemd/system
ip link set lo up
echo $d/host
exec cat >/dev/null`;

/** The copy, until it is disposed of. Without a network, without this checkout, without this user's caches. */
export class HostCopy implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  readonly #folder: string;
  readonly #root: string;

  private constructor(holder: Deno.ChildProcess, folder: string, root: string) {
    this.#holder = holder;
    this.#folder = folder;
    this.#root = root;
  }

  static async make(): Promise<HostCopy> {
    const hidden = ["/tmp", "/root", "/home", PROJECT.pathname.replace(/\/$/, "")];
    const folder = await Deno.makeTempDir();
    const holder = new Deno.Command("unshare", {
      args: ["--mount", "--net", "sh", "-ec", HOLD, "sh", folder, ...hidden],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = holder.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
    const { value } = await lines.read();
    lines.releaseLock();
    if (value === undefined) throw new Error("Cannot copy the host: its root cannot be overlaid");
    return new HostCopy(holder, folder, value);
  }

  /** Arguments of a command that runs another in the copy. */
  enter(...command: readonly string[]): string[] {
    return ["nsenter", `--target=${this.#holder.pid}`, "--mount", "--net", "chroot", this.#root, ...command];
  }

  async run(...command: readonly string[]): Promise<CommandResult> {
    const [name, ...args] = this.enter(...command);
    const { code, stdout, stderr } = await new Deno.Command(name!, {
      args,
      cwd: "/",
      clearEnv: true,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Runs a shell's script; returns what it prints. */
  async shell(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.run("sh", "-ec", script);
    if (code !== 0) throw new Error(`Cannot run "${script}": it ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Writes a file of the copy. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const [name, ...args] = this.enter("sh", "-ec", `cat > ${path}`);
    const child = new Deno.Command(name!, { args, stdin: "piped" }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(bytes);
    await writer.close();
    if (!(await child.status).success) throw new Error(`Cannot write "${path}" of the copy`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.stdout.cancel();
    await this.#holder.status;
    await Deno.remove(this.#folder);
  }
}
