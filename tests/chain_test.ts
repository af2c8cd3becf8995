/** The whole chain on this kernel, started as a user starts it. */

import assert from "node:assert/strict";
import { runJob } from "../chain/chain.ts";
import { RunningTask, runTask, WITHOUT_CAPABILITIES } from "./command.ts";
import { missingKernel, testWith } from "./require.ts";
import { PROJECT } from "./sources.ts";
import { observeTraffic } from "./traffic/observed.ts";
import { FAMILIES, KINDS } from "./traffic/plan.ts";
import { runTraffic } from "./traffic/run.ts";

const missing = await missingKernel();

testWith(missing, "connections of every kind and family are in the lake as both ends counted them", async () => {
  const order = { kinds: KINDS, connections: 1_800, longPerPlan: 3, concurrency: 32, perSecond: 400 };
  const { ends, ledgers, lakeEvents } = await observeTraffic(order, await Deno.makeTempDir(), 2);
  assert.equal(ends.length, 2 * KINDS.length * FAMILIES.length - FAMILIES.length); // a refused connection has one end
  for (const { plan, end, counted, observed } of ends) assert.deepEqual(observed, counted, `${plan.kind} ${plan.family}, ${end}`);
  const { agent, collector } = ledgers;
  assert.equal(agent["ring_lost_events"]! + agent["map_full_sockets"]! + agent["send_lost_records"]!, 0);
  assert.deepEqual([collector["flow_records_received"], collector["events_published"], lakeEvents], Array(3).fill(agent["flow_records"]));
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  testWith(missing, `up keeps everything under its folder, and on ${signal} flushes every stage and exits 0`, async () => {
    const data = `${await Deno.makeTempDir()}/new`;
    const up = await RunningTask.start("up", ["--data", data]);
    await up.line("observing");
    const plans = await runTraffic({ kinds: ["short", "half-closed"], connections: 120, longPerPlan: 0, concurrency: 8, perSecond: 0 });
    up.kill(signal);
    const { code, stdout, stderr } = await up.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual([...Deno.readDirSync(data)].map(({ name }) => name).sort(), ["lake", "topic.db"]);
    const ledger = (program: string) => JSON.parse(new RegExp(`^${program}: (.*)$`, "m").exec(stdout)![1]!);
    assert.equal(ledger("agent").flow_records, ledger("collector").events_published);
    const sql = `select sum(bytes_sent)::bigint as bytes from flow where observer_role = 'client' and server_port in (${
      plans.map(({ port }) => port).join()
    })
      and contains(process_command_line, 'traffic/client.ts')`;
    const { stdout: answer } = await runJob(["sql", sql, "--lake", `${data}/lake`, "--format", "json"]);
    assert.equal(JSON.parse(answer)[0].bytes, plans.reduce((sum, { client }) => sum + client.sent_bytes, 0));
  });
}

testWith(missing, "up stops by itself after --for seconds, and goes on with what an earlier run stored", async () => {
  const data = await Deno.makeTempDir();
  const eventsAfter = async () => {
    const { code, stderr } = await runTask("up", ["--data", data, "--for", "2"]);
    assert.equal(code, 0, stderr);
    const { stdout } = await runJob([
      "sql",
      "select coalesce(sum(event_count), 0)::bigint as n from flow",
      "--lake",
      `${data}/lake`,
      "--format",
      "json",
    ]);
    return JSON.parse(stdout)[0].n as number;
  };
  const traffic = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await runTraffic({ kinds: ["short"], connections: 30, longPerPlan: 0, concurrency: 4, perSecond: 0 });
  };
  const [first] = await Promise.all([eventsAfter(), traffic()]);
  const [second] = await Promise.all([eventsAfter(), traffic()]);
  assert.ok(first >= 60 && second >= first + 60, `${first}, then ${second}`);
});

testWith(missing, "up says why a program cannot start, and leaves none of the others running", async () => {
  const data = await Deno.makeTempDir();
  const { code, stderr } = await runTask("up", ["--data", data], WITHOUT_CAPABILITIES);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot run agent: .*CAP_BPF/);
  const commandLines = [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => commandLine(name));
  assert.deepEqual(commandLines.filter((text) => text.includes(data)), []);
});

/** Empty where the process has ended meanwhile. */
function commandLine(pid: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Error && error.message.includes("os error 3")) return "";
    throw error;
  }
}

testWith(missing, "demo checks every edge, prints the graph, and writes a report", async () => {
  const startMs = performance.now();
  const command = new Deno.Command(Deno.execPath(), { args: ["task", "demo"], cwd: PROJECT, stdout: "piped", stderr: "piped" });
  const output = await command.output();
  const stdout = new TextDecoder().decode(output.stdout);
  assert.equal(output.code, 0, stdout + new TextDecoder().decode(output.stderr));
  assert.ok(performance.now() - startMs < 60_000);
  for (const edge of ["client -> web", "web -> api", "api -> database"]) {
    const [, connections, seen] = new RegExp(`ok +${edge}: connections (\\d+) = (\\d+), tx_bytes (\\d+) = \\3, rx_bytes (\\d+) = \\4`).exec(
      stdout,
    )!;
    assert.ok(Number(connections) > 10);
    assert.equal(connections, seen);
  }
  assert.match(stdout, /ok +ledger: .* 0 lost/);
  assert.match(await Deno.readTextFile(/report: (.*)/.exec(stdout)![1]!), /<html/);
});
