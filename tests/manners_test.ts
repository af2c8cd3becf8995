/** A running agent as a guest: its rights, its priority, its metrics, and what it leaves behind. */

import assert from "node:assert/strict";
import { describeDatagram } from "../collector/describe_file.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { RunningTask, runTask } from "./command.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { LOOPBACK, NO_METRICS, openCollector, parseLine, receiveSoon, talk, withAgent } from "./running_agent.ts";
import { readIfPresent } from "../tools/present.ts";

const missing = await missingKernel();

/** CAP_SYS_PTRACE and CAP_SYS_ADMIN of capability.h. */
const CAPABILITIES_KEPT = 1n << 19n | 1n << 21n;

function statusField(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)$`, "m").exec(status)![1]!;
}

testWith(missing, "agent run keeps two capabilities once it observes, and refuses calls on every thread", async () => {
  await withAgent(["--collector", "127.0.0.1:6343", ...NO_METRICS], async ({ pid }) => {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    for (const set of ["CapEff", "CapPrm", "CapBnd"]) assert.equal(BigInt(`0x${statusField(status, set)}`), CAPABILITIES_KEPT, set);
    for (const set of ["CapInh", "CapAmb"]) assert.equal(BigInt(`0x${statusField(status, set)}`), 0n, set);
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const thread = await Deno.readTextFile(`/proc/${pid}/task/${name}/status`);
      assert.deepEqual([statusField(thread, "NoNewPrivs"), statusField(thread, "Seccomp")], ["1", "2"]);
    }
  });
});

testWith(missing, "agent run stands back on every thread, as far as it is told", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "collector: 127.0.0.1:6343\nmetrics_listen: off\nnice: 7\n");
  for (const [args, nice] of [[["--collector", "127.0.0.1:6343", ...NO_METRICS], 19], [["--config", path], 7]] as const) {
    await withAgent(args, async ({ pid }) => {
      for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
        const stat = await Deno.readTextFile(`/proc/${pid}/task/${name}/stat`);
        assert.equal(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]), nice); // field 19 of proc(5)
      }
      const { stdout } = await new Deno.Command("ionice", { args: ["-p", String(pid)] }).output();
      assert.equal(new TextDecoder().decode(stdout).trim(), "idle");
    });
  }
});

/** As another user, connects to a port under a name and with arguments that nobody should print. */
async function talkAsHostile(port: number): Promise<void> {
  const name = "\x1b[2J\r\n\u202eevil\ufeff", megabyte = Array<string>(8).fill("\x07\x9b\n".repeat(20_000));
  const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; echo >&3; sleep 0.5; :`;
  const hostile = ["bash", "-c", `exec -a '${name}' bash -c "$@"`, "sh", script, "--password", "open sesame", ...megabyte];
  const { success } = await new Deno.Command("setpriv", {
    args: ["--reuid", "65534", "--clear-groups", ...hostile],
    stdin: "null",
    stderr: "inherit",
  }).output();
  assert.ok(success);
}

testWith(
  missing,
  "agent run reports a hostile process of another user, once its rights are dropped, and breaks nothing by it",
  async () => {
    using collector = openCollector();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const capture = await Deno.makeTempFile();
    let described: Readonly<Record<string, string>> | undefined;
    const lines = await withAgent(["--collector", `127.0.0.1:${collector.port}`, ...NO_METRICS], async () => {
      const accepting = listener.accept();
      await talkAsHostile(listener.addr.port);
      (await accepting).close();
      for (let attempt = 0; attempt < 10 && described === undefined; attempt++) {
        for (const datagram of await receiveSoon(collector)) {
          await Deno.writeFile(capture, datagram);
          const { code, stdout, stderr } = await runTask("collector", ["decode", capture]);
          assert.equal(code, 0, stderr);
          described ??= findProcess(stdout);
        }
      }
    });
    assert.equal(described?.["executable_path"], "/usr/bin/bash");
    // The kernel hands out the beginning of the line; what it holds is text, and no secret.
    assert.match(described["command_line"]!, /evil +-c exec 3<>\/dev\/tcp.* sleep 0\.5; : --password \*\*\* /);
    for (const value of Object.values(described)) assert.doesNotMatch(value, /[\p{Cc}\u202e\ufeff]/u);
    assert.equal(lines.at(-1)!.message, "stopped");
  },
);

/** The process of user 65534 in what `collector decode` prints. */
function findProcess(text: string): Readonly<Record<string, string>> | undefined {
  const objects = [...text.matchAll(/\{[^{}]*"user_id":65534[^{}]*\}/g)].map(([json]) => JSON.parse(json) as Record<string, unknown>);
  const [process] = objects;
  return process === undefined ? undefined : Object.fromEntries(
    Object.entries(process).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

testWith(missing, "agent run serves every counter of its ledger to Prometheus, and says so where the port is taken", async () => {
  const args = ["--collector", "127.0.0.1:6343", "--metrics-listen", LOOPBACK];
  let text = "";
  const lines = await withAgent(args, async (agent) => {
    const { port } = parseLine(await agent.line("serving metrics"));
    await talk();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const url = `http://127.0.0.1:${port}`;
    assert.equal((await fetch(url)).status, 404);
    text = await (await fetch(`${url}/metrics`)).text();
    await withAgent(["--collector", "127.0.0.1:6343", "--metrics-listen", `127.0.0.1:${port}`], async (second) => {
      await second.line("metrics are not served");
    });
  });
  const values = new Map([...text.matchAll(/^(skyfall_agent_\w+) (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)]));
  for (const name of Object.keys(lines.at(-1)!["ledger"] as object)) {
    assert.match(text, new RegExp(`^# TYPE skyfall_agent_${name}_total counter$`, "m"));
    assert.ok(values.has(`skyfall_agent_${name}_total`), name);
  }
  assert.ok(values.get("skyfall_agent_ended_connections_total")! >= 2, text);
  const places = [...text.matchAll(/^skyfall_agent_lost_total\{place="(\w+)"\} \d+$/gm)].map(([, place]) => place);
  assert.deepEqual(places, ["ring", "map_full", "missed_hook", "udp_map_full", "udp_missed_call", "governor", "send"]);
  for (const gauge of ["live_sockets", "governor_step", "cpu_percent", "kernel_percent"]) {
    assert.ok(values.has(`skyfall_agent_${gauge}`), gauge);
  }
});

/** Ids of everything of a kind that the kernel holds. */
async function heldByKernel(kind: "prog" | "link" | "map"): Promise<Set<number>> {
  const { stdout } = await new Deno.Command("bpftool", { args: [kind, "show", "-j"] }).output();
  const all = JSON.parse(new TextDecoder().decode(stdout)) as { readonly id: number }[];
  return new Set(all.map(({ id }) => id));
}

testWith(
  firstMissing(missing, await missingCommand("bpftool", "version")),
  "an agent that is killed leaves nothing in the kernel",
  async () => {
    const kinds = ["prog", "link", "map"] as const;
    const agent = await RunningTask.start("agent", ["run", "--collector", "127.0.0.1:6343", ...NO_METRICS]);
    await agent.line("observing");
    const own = await ownIds(agent.pid);
    for (const kind of kinds) assert.ok(own[kind].size > 0, kind);
    agent.kill("SIGKILL");
    await agent.ended;
    for (let attempt = 0; attempt < 50; attempt++) { // the kernel frees after a grace period
      const left = await Promise.all(kinds.map(async (kind) => own[kind].intersection(await heldByKernel(kind))));
      if (left.every(({ size }) => size === 0)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail(`programs, links or maps are left: ${JSON.stringify(own)}`);
  },
);

/** What a process holds by its file descriptors (proc(5), fdinfo). */
async function ownIds(pid: number): Promise<Readonly<Record<"prog" | "link" | "map", Set<number>>>> {
  const own = { prog: new Set<number>(), link: new Set<number>(), map: new Set<number>() };
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fdinfo`)) {
    const info = await readIfPresent(`/proc/${pid}/fdinfo/${name}`);
    for (const kind of ["prog", "link", "map"] as const) {
      const id = new RegExp(`^${kind}_id:\\s*(\\d+)$`, "m").exec(info)?.[1];
      if (id !== undefined) own[kind].add(Number(id));
    }
  }
  return own;
}

testWith(missing, "agent run proves itself again on SIGUSR2, with its rights dropped, and tells nobody of its conversations", async () => {
  using collector = openCollector();
  let processes: unknown[] = [], pid = 0;
  const lines = await withAgent(["--collector", `127.0.0.1:${collector.port}`, ...NO_METRICS], async (agent) => {
    await agent.line("rights dropped");
    agent.kill("SIGUSR2");
    assert.ok(parseLine(await agent.line("self-test passed"))["fields"] as number > 200);
    await talk(); // whose end comes after those of the test
    pid = agent.pid;
    while (!processes.includes(Deno.pid)) processes = [...processes, ...(await receiveSoon(collector)).flatMap(processIdsOf)];
  });
  assert.ok(!processes.includes(pid));
  const { ledger } = lines.at(-1)! as unknown as { readonly ledger: Readonly<Record<string, number>> };
  const { self_tests, self_test_failures, ring_lost_events } = ledger;
  assert.deepEqual([self_tests, self_test_failures, ring_lost_events], [1, 0, 0]);
});

/** Ids of the processes whose TCP conversations a datagram tells. */
function processIdsOf(datagram: Uint8Array): unknown[] {
  return describeDatagram(datagram, DEFAULT_ENTERPRISE).flatMap((sample) => {
    const records = (sample as { readonly records?: readonly Readonly<Record<string, unknown>>[] }).records ?? [];
    const ids = new Map(records.filter(({ record }) => record === "skyfall_process").map(({ index, pid }) => [index, pid]));
    return records.filter(({ transport_protocol }) => transport_protocol === 6).map(({ process_index }) => ids.get(process_index));
  });
}

testWith(missing, "agent run does not open the runtime's debugger on SIGUSR1", async () => {
  const graceMs = 1_500; // the runtime waits 500 ms after its start before it would
  const lines = await withAgent(["--collector", "127.0.0.1:6343", ...NO_METRICS], async (agent) => {
    await agent.line("observing");
    await new Promise((resolve) => setTimeout(resolve, graceMs));
    agent.kill("SIGUSR1");
    await new Promise((resolve) => setTimeout(resolve, graceMs / 3));
  });
  assert.equal(lines.at(-1)!.message, "stopped"); // each line was a log line: the runtime said nothing of its own
});
