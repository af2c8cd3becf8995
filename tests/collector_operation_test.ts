/** What a running collector tells about itself: metrics, health, `top`, `explain`, and its configuration file. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { laneSubAgent } from "../lib/lanes.ts";
import { replay } from "./captured.ts";
import { RunningTask, runTask } from "./command.ts";

const DATAGRAMS = 40, FLOWS_PER_DATAGRAM = 3, FLOWS = DATAGRAMS * FLOWS_PER_DATAGRAM;
const CLIENT = "10.0.0.1", SERVER = "10.0.0.2";

/** Datagrams of one agent, all of one conversation; the tenth is lost on the way. */
function agentDatagrams(): Uint8Array<ArrayBuffer>[] {
  const now = Date.now() * 1_000;
  return Array.from({ length: DATAGRAMS }, (_, d) => {
    const flow = { ...FLOW, period_start_unix_us: now, period_end_unix_us: now, tx_bytes: 10 };
    const flows = Array.from({ length: FLOWS_PER_DATAGRAM }, (_, f) => skyfallRecord("skyfall_flow", { ...flow, flow_id: d * 3 + f + 1 }));
    const sequence = d < 10 ? d + 1 : d + 2;
    return datagram([flowSample([HOST, PROCESS, ...flows], { sequence, pool: sequence * FLOWS_PER_DATAGRAM })], {
      sequence,
      uptimeMs: 1_000 + d,
    });
  });
}

/** A collector that has received the datagrams; `at` is where it tells of them. */
async function start(args: readonly string[] = []) {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const collector = await RunningTask.start("collector", [
    "run",
    ...["--listen", "127.0.0.1:0", "--topic", topic, "--workers", "2", "--metrics-listen", "127.0.0.1:0"],
    ...args,
  ]);
  const { port } = JSON.parse(await collector.line("listening"));
  const at = `127.0.0.1:${JSON.parse(await collector.line("serving metrics")).port}`;
  await replay(agentDatagrams(), port);
  await until(async () => (await metrics(at))["skyfall_collector_flow_records_received_total"] === FLOWS);
  return {
    at,
    port: Number(port),
    collector,
    async [Symbol.asyncDispose]() {
      collector.kill("SIGTERM");
      await collector.ended;
    },
  };
}

/** Metrics without labels by name. */
async function metrics(at: string): Promise<Record<string, number>> {
  const text = await (await fetch(`http://${at}/metrics`)).text();
  return Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const match = /^(\w+) (\S+)$/.exec(line);
      return match === null ? [] : [[match[1]!, Number(match[2])]];
    }),
  );
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 50; i++) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Cannot go on: 5 s have passed");
}

Deno.test("/metrics has every event of the ledger at every scrape, and balance 0 while rows are in tables and leave them", async () => {
  await using running = await start(["--window-s", "2"]);
  let published = 0;
  for (let i = 0; published < FLOWS && i < 60; i++) {
    const now = await metrics(running.at);
    published = now["skyfall_collector_events_published_total"]!;
    assert.equal(now["skyfall_collector_balance"], 0);
    assert.ok(published + now["skyfall_collector_events_in_tables"]! + now["skyfall_collector_events_unpublished"]! >= FLOWS);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(published, FLOWS);
  assert.equal((await metrics(running.at))["skyfall_collector_datagrams_lost"], 1);
});

Deno.test("/healthz answers 200 while the workers report and the topic is written", async () => {
  await using running = await start();
  const response = await fetch(`http://${running.at}/healthz`);
  assert.deepEqual([response.status, await response.text()], [200, "ok\n"]);
});

Deno.test("collector top shows workers, and agents with their losses", async () => {
  await using running = await start();
  const { code, stdout, stderr } = await runTask("collector", ["top", "--at", running.at]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Skyfall collector .* ok$/m);
  assert.match(stdout, new RegExp(`events .* ${FLOWS} in tables, 0 wait, 0 on disk; .* balance 0$`, "m"));
  const agent = stdout.split("\n").find((line) => line.startsWith("10.0.0.1"))!.split(/ +/);
  assert.deepEqual([agent[3], agent[4], agent[5]], [String(DATAGRAMS), "1", "2.4"], stdout); // received, lost, lost %
});

const LANES = 4;

/** Datagrams of a stream without samples, all but those with the lost numbers. */
function streamDatagrams(address: number, subAgent: number, count: number, ...lost: number[]): Uint8Array<ArrayBuffer>[] {
  const agent = Uint8Array.of(10, 0, 0, address);
  return Array.from({ length: count }, (_, i) => i + 1).filter((sequence) => !lost.includes(sequence)).map((sequence) =>
    datagram([], { agent, subAgent, sequence, uptimeMs: 1_000 + sequence })
  );
}

/** What `top` shows of each agent: address, sub-agent, and the columns from `received` to `lost %`. */
async function topAgents(at: string, ...args: string[]): Promise<string[][]> {
  const { code, stdout, stderr } = await runTask("collector", ["top", "--at", at, ...args]);
  assert.equal(code, 0, stderr);
  return stdout.split("\n").filter((line) => line.startsWith("10.0.")).map((line) => {
    const [address, subAgent, , received, lost, percent] = line.split(/ +/);
    return [address!, subAgent!, received!, lost!, percent!];
  });
}

async function untilReceived(at: string, datagrams: number): Promise<void> {
  await until(async () => (await metrics(at))["skyfall_collector_datagrams_received_total"]! >= datagrams);
}

Deno.test("collector top --order loss has a line for all lanes of an agent, one for each sub-agent of others, the greatest loss first", async () => {
  await using running = await start();
  const lanes = [[], [5], [], [2, 3]].flatMap((lost, lane) => streamDatagrams(7, laneSubAgent(lane, LANES), 10, ...lost));
  const others = [...streamDatagrams(8, 1, 10, 4), ...streamDatagrams(8, 2, 10)];
  await replay([...lanes, ...others], running.port);
  await untilReceived(running.at, DATAGRAMS + lanes.length + others.length);
  assert.deepEqual(await topAgents(running.at, "--order", "loss"), [
    ["10.0.0.8", "1", "9", "1", "10.0"],
    ["10.0.0.7", "lanes", "37", "3", "7.5"],
    ["10.0.0.1", "1", "40", "1", "2.4"],
    ["10.0.0.8", "2", "10", "0", "0.0"],
  ]);
});

Deno.test("collector top has the agent first that sends most now", async () => {
  await using running = await start();
  const past = streamDatagrams(8, laneSubAgent(0, LANES), 500);
  await replay(past, running.port);
  await untilReceived(running.at, DATAGRAMS + past.length);
  let isShown = false;
  const shown = topAgents(running.at).finally(() => isShown = true);
  for (const one of streamDatagrams(9, laneSubAgent(0, LANES), past.length - 1)) {
    if (isShown) break;
    await replay([one], running.port);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assert.deepEqual((await shown).map(([address]) => address), ["10.0.0.9", "10.0.0.8", "10.0.0.1"]);
});

Deno.test("collector explain shows a conversation's row, its worker, its time to leave and its agent's stream", async () => {
  await using running = await start();
  const explain = (client: string, port: string) =>
    runTask("collector", ["explain", "--at", running.at, "--client", client, "--server", SERVER, "--port", port]);
  const { code, stdout, stderr } = await explain(CLIENT, String(FLOW.remote_port));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^worker [01]: tcp, minute \S+:00\.000Z, leaves at \S+Z$/m);
  assert.match(stdout, /^ {2}reported as client by \S+ \(10\.0\.0\.1\), service \S+/m);
  assert.match(stdout, new RegExp(`bytes_sent ${10 * FLOWS}\\b.*event_count ${FLOWS}\\b`));
  assert.match(stdout, new RegExp(`^stream 10\\.0\\.0\\.1 sub-agent 1 at worker [01]: ${DATAGRAMS} datagrams, 1 lost`, "m"));
  assert.match((await explain("192.0.2.1", String(FLOW.remote_port))).stdout, /no row of it is in a table/);
  assert.match(stdout, /^rows of it last left never/m);
  const wrong = await explain(CLIENT, "65536");
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /port \\"65536\\", needed 0 to 65535/);
});

Deno.test("collector explain shows when rows last left, once they have", async () => {
  const beforeMs = Date.now();
  await using running = await start(["--window-s", "1"]);
  await until(async () => (await metrics(running.at))["skyfall_collector_events_published_total"] === FLOWS);
  const { stdout } = await runTask("collector", [
    ...["explain", "--at", running.at, "--client", CLIENT, "--server", SERVER],
    ...["--port", String(FLOW.remote_port)],
  ]);
  const leftMs = Date.parse(/^rows of it last left at (\S+)$/m.exec(stdout)![1]!);
  assert.ok(beforeMs <= leftMs && leftMs <= Date.now(), stdout);
  assert.match(stdout, /^no row of it is in a table/m);
});

Deno.test("collector top says that nobody answers", async () => {
  const { code, stderr } = await runTask("collector", ["top", "--at", "127.0.0.1:1"]);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot ask \\"127\.0\.0\.1:1\\": nobody answers there/);
});

Deno.test("collector run --config reads its file again on SIGHUP, names what needs a restart, and refuses what is wrong", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(path, "window_s: 5\n");
  await using running = await start(["--config", path]);
  const { collector } = running;
  await Deno.writeTextFile(path, "window_s: 6\nworkers: 7\n");
  collector.kill("SIGHUP");
  const { needs_restart } = JSON.parse(await collector.line("configuration reloaded"));
  assert.deepEqual(needs_restart, ["windowS"]); // --workers overrides the file
  await Deno.writeTextFile(path, "window_s: 0\n");
  collector.kill("SIGHUP");
  assert.match(await collector.line("configuration refused"), /line 1: window_s: 0, needed 1 to 3600/);
});

Deno.test("on SIGHUP every worker goes by the new list of who may send", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(path, "# nothing\n");
  await using running = await start(["--config", path]);
  await Deno.writeTextFile(path, "allow:\n  - 192.0.2.0/24\n");
  running.collector.kill("SIGHUP");
  assert.deepEqual(JSON.parse(await running.collector.line("configuration reloaded")).needs_restart, []);
  await replay(agentDatagrams(), running.port);
  await until(async () => (await metrics(running.at))["skyfall_collector_datagrams_refused_source_total"] === DATAGRAMS);
});
