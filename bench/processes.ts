/** Peers and programs under a bench: what they cost, and how they are started and stopped. */

import { UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";

const USER_HZ = 100; // sysconf(_SC_CLK_TCK) on every Linux of today

/** User and system time of a process with all its threads, from proc(5)'s stat. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / USER_HZ;
}

/** Memory of a process that is resident, from proc(5)'s status. */
export async function residentBytes(pid: number): Promise<number> {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1];
  if (kib === undefined) throw new Error(`Cannot read the memory of process ${pid}`);
  return Number(kib) * 1_024;
}

/** Datagrams that the kernel dropped because the socket on this port was full, from proc(5)'s net/udp. */
export async function droppedDatagrams(port: number): Promise<number> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const tables = await Promise.all(["udp", "udp6"].map((name) => Deno.readTextFile(`/proc/net/${name}`)));
  const lines = tables.flatMap((table) => table.trimEnd().split("\n").slice(1)).map((line) => line.trim().split(/\s+/));
  return lines.filter((line) => line[1]!.endsWith(hex)).reduce((sum, line) => sum + Number(line.at(-1)), 0);
}

/** A UDP port of 127.0.0.1 that is free now. */
export function freeUdpPort(): number {
  const text = "127.0.0.1:0";
  using socket = UdpReceiver.bind(parseHostPort(text).address, 0, true, text);
  return socket.port;
}

/** A program of another project, running with its output thrown away. */
export class Peer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** Starts it, and waits a while until it is ready. */
  static async start(command: string, args: readonly string[], readyMs: number): Promise<Peer> {
    const child = new Deno.Command(command, { args: [...args], stdin: "null", stdout: "null", stderr: "null" }).spawn();
    await pause(readyMs);
    return new Peer(child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#child.status;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * What a command prints.
 *
 * @throws {Error} If it fails.
 */
export async function outputOf(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdout: "piped", stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
