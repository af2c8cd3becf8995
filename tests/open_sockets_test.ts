/** Connections that are open before the agent starts: found at once, with their owner, and only what they do from then on. */

import assert from "node:assert/strict";
import { TextLineStream } from "../chain/text_line_stream.ts";
import { describeFile } from "../collector/describe_file.ts";
import { pcapFile } from "../collector/testdata/pcap.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { captureAgent } from "./captured.ts";
import { missingKernel, testWith } from "./require.ts";

/** In a virtual machine everything takes some ten times as long. */
const isSlow = Deno.env.has("AGENT_RUNG");
const CONNECTIONS = isSlow ? 100 : 500;
/** How long something listens, and how much later the agent may hear of it. */
const LISTEN_MS = 1_500, LATE_MS = isSlow ? 1_000 : 100;
const BEFORE_BYTES = 1_000, AFTER_BYTES = 70, ROUNDS = 4;
const INTERIM_MS = 200;

/** What the agent told of one socket in all. */
interface Told {
  records: number;
  tx: number;
  rx: number;
  opened: number;
  pids: Set<number>;
  sources: Set<number>;
  roles: Set<number>;
}

/** By local port. */
function toldOf(datagrams: readonly Uint8Array[], serverPort: number): Map<number, Told> {
  const told = new Map<number, Told>();
  for (const { records } of describeFile(pcapFile(datagrams), DEFAULT_ENTERPRISE)) {
    const all = (records ?? []) as Record<string, string | number>[];
    const pids = new Map(all.filter((r) => r["record"] === "skyfall_process").map((r) => [Number(r["index"]), Number(r["pid"])]));
    for (const flow of all.filter((r) => r["record"] === "skyfall_flow" && r["remote_port"] === serverPort)) {
      const port = Number(flow["local_port"]);
      const sum = told.get(port) ??
        { records: 0, tx: 0, rx: 0, opened: 0, pids: new Set(), sources: new Set(), roles: new Set() } satisfies Told;
      sum.records++;
      sum.tx += Number(flow["tx_bytes"]);
      sum.rx += Number(flow["rx_bytes"]);
      sum.opened += Number(flow["opened_count"]);
      sum.pids.add(pids.get(Number(flow["process_index"])) ?? 0);
      sum.sources.add(Number(flow["attribution_source"]));
      sum.roles.add(Number(flow["role"]));
      told.set(port, sum);
    }
  }
  return told;
}

const CLOSE = 2, TASK_FILE = 4, CLIENT = 1;

testWith(await missingKernel(), "connections older than the agent are told with their owner, and each byte from then on once", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const pairs: { readonly client: Deno.TcpConn; readonly server: Deno.TcpConn }[] = [];
  for (let i = 0; i < CONNECTIONS; i++) {
    const [client, server] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
    pairs.push({ client, server });
  }
  const transfer = async (bytes: number) => {
    for (const { client, server } of pairs) {
      await client.write(new Uint8Array(bytes));
      for (let left = bytes; left > 0;) left -= (await server.read(new Uint8Array(left)))!;
    }
  };
  await transfer(BEFORE_BYTES);
  const datagrams = await captureAgent(async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await transfer(AFTER_BYTES);
      await new Promise((resolve) => setTimeout(resolve, INTERIM_MS));
    }
  }, ["--interim-interval-ms", String(INTERIM_MS)]);
  const ports = pairs.map(({ client }) => (client.localAddr as Deno.NetAddr).port);
  for (const { client, server } of pairs) {
    client.close();
    server.close();
  }
  const told = toldOf(datagrams, listener.addr.port);
  assert.deepEqual([...told.keys()].sort(), ports.sort());
  for (const [port, { records, ...sums }] of told) {
    assert.deepEqual(
      sums,
      {
        tx: AFTER_BYTES * ROUNDS,
        rx: 0,
        opened: 0,
        pids: new Set([Deno.pid]),
        sources: new Set([TASK_FILE]),
        roles: new Set([CLIENT]),
      },
      `port ${port}`,
    );
    assert.ok(records >= ROUNDS / 2 && records <= ROUNDS + 2, `${records} records`);
  }
});

testWith(await missingKernel(), "what listens is told with its process: before the agent, from when on, and until when", async () => {
  using before = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let during = 0;
  const startUs = Date.now() * 1_000;
  const datagrams = await captureAgent(async () => {
    using listener = Deno.listen({ hostname: "::", port: 0 });
    during = listener.addr.port;
    await new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
  }, []);
  const endUs = Date.now() * 1_000;
  const told = [...describeFile(pcapFile(datagrams), DEFAULT_ENTERPRISE)].flatMap(({ records }) => {
    const all = (records ?? []) as Record<string, string | number>[];
    const pids = new Map(all.filter((r) => r["record"] === "skyfall_process").map((r) => [r["index"], r["pid"]]));
    return all.filter((r) => r["record"] === "skyfall_listener").map((r) => ({ ...r, pid: pids.get(r["process_index"]!) }));
  }) as Record<string, number>[];
  const of = (port: number) => told.filter((r) => r["local_port"] === port);
  assert.deepEqual(of(before.addr.port).map((r) => [r["pid"], r["listening"]]), [[Deno.pid, 1], [Deno.pid, 1]]);
  assert.deepEqual(of(during).map((r) => [r["pid"], r["listening"]]), [[Deno.pid, 1], [Deno.pid, 0]]);
  const { first_seen_unix_us: first, last_seen_unix_us: last } = of(during)[1]!;
  assert.ok(
    startUs < first! && first! + (LISTEN_MS - LATE_MS) * 1_000 < last! && last! < endUs,
    `${startUs} < ${first} < ${last} < ${endUs}`,
  );
});

/** Holds a connection, and once told hands it on to a process of its own, whose id it prints. */
const HAND_ON = 'exec 3<>"/dev/tcp/127.0.0.1/$1"; echo open; read; sleep 1000 <&3 & exec 3>&-; echo $!; wait';

testWith(
  await missingKernel(),
  "a process that is killed with a connection which it was handed is told, with its command line",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const shell = new Deno.Command("bash", {
      args: ["-c", HAND_ON, "bash", String(port)],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const said = shell.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).values();
    using _server = await listener.accept();
    await said.next();
    let pid = 0;
    const datagrams = await captureAgent(async () => {
      const stdin = shell.stdin.getWriter();
      await stdin.write(new TextEncoder().encode("\n"));
      await stdin.close();
      pid = Number((await said.next()).value);
      const commandLine = `/proc/${pid}/cmdline`; // empty until the exec is done
      while (await Deno.readTextFile(commandLine) !== "sleep\x001000\x00") await new Promise((resolve) => setTimeout(resolve, 10));
      Deno.kill(pid, "SIGKILL");
      await shell.status;
    }, []);
    const told = [...describeFile(pcapFile(datagrams), DEFAULT_ENTERPRISE)];
    const records = told.flatMap(({ records }) => (records ?? []) as Record<string, unknown>[]);
    const ends = records.filter((r) => r["record"] === "skyfall_flow" && r["remote_port"] === port && r["attribution_source"] === CLOSE);
    assert.equal(ends.length, 1);
    const process = records.find((r) => r["record"] === "skyfall_process" && r["pid"] === pid);
    assert.deepEqual([process?.["executable_name"], process?.["command_line"]], ["sleep", "sleep 1000"]);
  },
);
