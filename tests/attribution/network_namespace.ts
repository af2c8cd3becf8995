/** A network namespace of its own, so that ports and their range are the test's. */

import { run } from "./actor.ts";

export class NetworkNamespace implements AsyncDisposable {
  readonly #name = `skyfall-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  /** What to put before a command that runs inside. */
  readonly prefix = ["nsenter", `--net=/run/netns/${this.#name}`];

  private constructor() {}

  /** @param ephemeral net.ipv4.ip_local_port_range. */
  static async create([first, last]: readonly [number, number] = [32_768, 60_999]): Promise<NetworkNamespace> {
    const namespace = new NetworkNamespace();
    await run(["ip", "netns", "add", namespace.#name]);
    await run(["ip", "-n", namespace.#name, "link", "set", "lo", "up"]);
    await run([...namespace.prefix, "sysctl", "-w", `net.ipv4.ip_local_port_range=${first} ${last}`]);
    return namespace;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["ip", "netns", "delete", this.#name]);
  }
}
