/** Containers of the plainest kind: namespaces of their own, and a control group named as Docker names it. */

import { type Actor, run, type Yard } from "./actor.ts";
import { exists } from "../../tools/present.ts";

const ADDRESSES: Readonly<Record<string, string>> = { a: "10.213.77.1", b: "10.213.77.2" };

/** Folder of a control group; it, and those around it, are removed with the yard unless they were there before. */
export async function cgroupFolder(yard: Yard, path: string): Promise<string> {
  const mounts = (await Deno.readTextFile("/proc/self/mounts")).split("\n").map((line) => line.split(" "));
  const root = mounts.find(([, , type]) => type === "cgroup2")?.[1];
  if (root === undefined) throw new Error("Cannot make a control group: no hierarchy of version 2 is mounted");
  const folder = `${root}/${path}`;
  for (const [i, part] of folder.split("/").entries()) {
    const made = folder.split("/").slice(0, i + 1).join("/");
    if (part === "" || await exists(made)) continue;
    await Deno.mkdir(made);
    yard.onEnd(() => removeEmptied(made));
  }
  return folder;
}

/** The last processes may still be on their way out. */
async function removeEmptied(folder: string): Promise<void> {
  for (let tries = 100;; tries--) {
    try {
      return await Deno.remove(folder);
    } catch (error) {
      if (tries === 0 || !(error instanceof Deno.errors.Busy || error instanceof Error && error.message.includes("os error 16"))) {
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class Container implements AsyncDisposable {
  readonly id: string;
  readonly #yard: Yard;
  readonly #namespace: string;
  readonly #cgroup: string;
  readonly address: string;
  readonly #actors: Actor[] = [];

  private constructor(yard: Yard, name: string, id: string, cgroup: string) {
    this.#yard = yard;
    this.id = id;
    this.#namespace = `skyfall-${Deno.pid}-${name}`;
    this.#cgroup = cgroup;
    this.address = ADDRESSES[name]!;
  }

  static async create(yard: Yard, name: "a" | "b"): Promise<Container> {
    const id = `${name}${Deno.pid.toString(16)}`.padEnd(64, name);
    const container = new Container(yard, name, id, await cgroupFolder(yard, `docker-${id}.scope`));
    await run(["ip", "netns", "add", container.#namespace]);
    return container;
  }

  /** Connects both by a virtual cable. */
  async join(other: Container): Promise<void> {
    const [mine, theirs] = [this.#namespace, other.#namespace];
    await run(["ip", "link", "add", "eth0", "netns", mine, "type", "veth", "peer", "name", "eth0", "netns", theirs]);
    for (const { address, namespace } of [{ address: this.address, namespace: mine }, { address: other.address, namespace: theirs }]) {
      await run(["ip", "-n", namespace, "address", "add", `${address}/24`, "dev", "eth0"]);
      await run(["ip", "-n", namespace, "link", "set", "eth0", "up"]);
    }
  }

  /** Starts actor.c inside. */
  start(args: readonly (string | number)[]): Actor {
    const prefix = ["nsenter", `--net=/run/netns/${this.#namespace}`, "unshare", "--mount", "--pid", "--fork", "--kill-child"];
    const actor = this.#yard.start(["in", `${this.#cgroup}/cgroup.procs`, ...args], prefix);
    this.#actors.push(actor);
    return actor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const actor of this.#actors) await actor.kill("SIGKILL");
    await run(["ip", "netns", "delete", this.#namespace]);
  }
}
