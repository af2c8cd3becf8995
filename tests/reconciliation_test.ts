/** The agent's counts held against the kernel's: equal where nothing is lost, and else different by what was lost. */

import assert from "node:assert/strict";
import { TextLineStream } from "../chain/text_line_stream.ts";
import { NetworkNamespace } from "./attribution/network_namespace.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { parseLine, withAgent } from "./running_agent.ts";
import { PROJECT } from "./sources.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("ip", "-V"), await missingCommand("nsenter", "--version"));
const COUNTERS = ["ActiveOpens", "PassiveOpens", "EstabResets"];
const READING_MS = 30_000;
/** A network on which 10.99.0.2 is known, but not there. */
const UNANSWERED = [
  "ip link add skyfall0 type veth peer skyfall1",
  "ip link set skyfall1 up",
  "ip link set skyfall0 up",
  "ip address add 10.99.0.1/24 dev skyfall0",
  "ip neighbour add 10.99.0.2 lladdr 02:00:00:00:00:02 dev skyfall0 nud permanent",
];

/** tests/reconciliation/connections.ts, which connects as it is told. */
class Connections implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<string>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  #isKilled = false;

  private constructor(prefix: readonly string[]) {
    const script = new URL("tests/reconciliation/connections.ts", PROJECT).pathname;
    const [command, ...args] = [...prefix, Deno.execPath(), "run", "--no-check", "--allow-net", script];
    this.#child = new Deno.Command(command!, { args, stdin: "piped", stdout: "piped" }).spawn();
    const encoder = new TextEncoderStream();
    void encoder.readable.pipeTo(this.#child.stdin);
    this.#orders = encoder.writable.getWriter();
    this.#answers = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  static async start(prefix: readonly string[]): Promise<Connections> {
    const connections = new Connections(prefix);
    assert.equal((await connections.#answers.read()).value, "ready");
    return connections;
  }

  async do(...orders: string[]): Promise<void> {
    for (const order of orders) {
      await this.#orders.write(`${order}\n`);
      assert.equal((await this.#answers.read()).value, order);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKilled) this.#child.kill("SIGKILL");
    this.#isKilled = true;
    await this.#child.status;
  }
}

/** Inode number of the namespace that commands with the prefix run in. */
async function inodeOf(prefix: readonly string[]): Promise<number> {
  const [command, ...args] = [...prefix, "readlink", "/proc/self/ns/net"];
  const { stdout } = await new Deno.Command(command!, { args }).output();
  return Number(/net:\[(\d+)\]/.exec(new TextDecoder().decode(stdout))![1]);
}

/** What is served at an address, as seen where commands with the prefix run. */
async function fetchFrom(prefix: readonly string[], url: string): Promise<string> {
  const [command, ...args] = [...prefix, Deno.execPath(), "eval", `console.log(await (await fetch("${url}")).text())`];
  return new TextDecoder().decode((await new Deno.Command(command!, { args }).output()).stdout);
}

/** What the agent serves of a namespace, once the kernel's counts are at least these: [kernel's count, difference] by counter. */
async function reconciled(
  metrics: () => Promise<string>,
  namespace: number,
  atLeast: readonly number[],
): Promise<(readonly [number, number])[]> {
  const deadlineMs = performance.now() + READING_MS;
  for (;;) {
    const text = await metrics();
    const value = (name: string, counter: string) => {
      const labels = `{network_namespace="${namespace}",counter="${counter}"}`;
      return Number(text.split("\n").find((line) => line.startsWith(`${name}${labels}`))?.split(" ").at(-1) ?? NaN);
    };
    const read = COUNTERS.map((counter) =>
      ["kernel_count", "difference"].map((name) => value(`skyfall_agent_reconciliation_${name}`, counter)) as [number, number]
    );
    if (read.every(([kernel], i) => kernel >= atLeast[i]!)) return read;
    assert.ok(performance.now() < deadlineMs, `${JSON.stringify(read)}, needed ${atLeast}:\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const ARGS = ["--collector", "127.0.0.1:6399", "--metrics-listen", "127.0.0.1:0", "--interim-interval-ms", "1000", "--cpu-limit-percent"];

testWith(missing, "agent counts connections as the kernel does, in its own network namespace and in another", async () => {
  await using home = await NetworkNamespace.create(), other = await NetworkNamespace.create();
  for (const script of UNANSWERED) {
    const [command, ...args] = [...other.prefix, ...script.split(" ")];
    assert.ok((await new Deno.Command(command!, { args }).output()).success, script);
  }
  await using own = await Connections.start(home.prefix), elsewhere = await Connections.start(other.prefix);
  await using waiting = await Connections.start(other.prefix);
  const ownInode = await inodeOf(home.prefix), inode = await inodeOf(other.prefix);
  await withAgent([...ARGS, "100"], async (agent) => {
    const port = parseLine(await agent.line("serving metrics"))["port"] as number;
    const metrics = () => fetchFrom(home.prefix, `http://127.0.0.1:${port}/metrics`);
    const before = await reconciled(metrics, ownInode, [0, 0, 0]);
    await reconciled(metrics, inode, [0, 0, 0]);
    await Promise.all([
      own.do("hold 50", "short 1000", "refused 100", "server-resets 20"),
      elsewhere.do("hold 30", "short 500", "refused 50", "unreachable 25", "server-resets 10"),
      waiting.do("unanswered 10.99.0.2"),
    ]);
    const made = [1_170, 1_070, 20].map((count, i) => count + before[i]![0]);
    const [active, ...others] = await reconciled(metrics, inode, [591, 540, 10]);
    assert.deepEqual(active, [591, 1], "the attempt that nobody answers goes on");
    assert.deepEqual(others, [[540, 0], [10, 0]]);
    assert.deepEqual((await reconciled(metrics, ownInode, made)).map(([, difference]) => difference), [0, 0, 0]);
    await elsewhere.do("end", "hold 1"); // one that lasts: by it the agent finds a process in the namespace
    await own.do("end");
    await waiting[Symbol.asyncDispose](); // which ends the attempt
    assert.deepEqual(await reconciled(metrics, inode, [592, 541, 10]), [[592, 0], [541, 0], [10, 0]]);
  }, home.prefix);
});

testWith(missing, "connections that the agent could not be told of are the difference, and the ring's losses are as many", async () => {
  await using apart = await NetworkNamespace.create();
  await using connections = await Connections.start(apart.prefix);
  await connections.do("short 100"); // the ring would hold the processes' descriptions else
  const lines = await withAgent([...ARGS, "100"], async (agent) => {
    await connections.do("short 100");
    agent.kill("SIGSTOP");
    await connections.do("short 32000"); // 64,000 events; the ring of 8 MiB has room for 43,000
    agent.kill("SIGCONT");
  });
  const { ledger, reconciliation } = lines.at(-1)! as unknown as Readonly<Record<string, Readonly<Record<string, number>>>>;
  const { active_opens, passive_opens, active_opens_difference, passive_opens_difference } = reconciliation!;
  const lost = ledger!["ring_lost_events"]!, difference = active_opens_difference! + passive_opens_difference!;
  assert.ok(lost > 10_000, `${lost} lost`);
  // What other programs of the host do may be lost at other times, and as other events, such as their descriptions.
  const foreign = active_opens! + passive_opens! - 2 * 32_100;
  assert.ok(Math.abs(difference - lost) < lost * 0.01 + foreign, `lost ${lost}, difference ${difference}, foreign ${foreign}`);
  assert.ok(ledger!["dropped_events"]! >= lost);
});
