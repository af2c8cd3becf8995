/** The way from a running agent to its collector: changed, not there yet, gone, and found again. */

import assert from "node:assert/strict";
import { describeFile } from "../collector/describe_file.ts";
import { pcapFile } from "../collector/testdata/pcap.ts";
import { parseKeys, verify } from "../lib/sflow/authentication.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { afterHiding } from "./command.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { NO_METRICS, openCollector, parseLine, receiveSoon, receivesSoon, talk, withAgent } from "./running_agent.ts";

const missing = await missingKernel();

interface Line {
  readonly kind: string;
  readonly sub_agent_id?: number;
  readonly source_id?: string;
  readonly sample_pool?: number;
  readonly drops?: number;
  readonly records?: readonly { readonly record: string; readonly send_lost_records?: number }[];
}

/** What a lane told. */
interface LaneTold {
  /** Of its first sample of flows: how many it had made before, and lost by then. */
  before?: number;
  drops?: number;
  /** By its last counters. */
  unsent: number;
}

function laneStories(datagrams: readonly Uint8Array[]): LaneTold[] {
  const lanes = new Map<number, LaneTold>();
  let subAgent = 0;
  for (const line of [...describeFile(pcapFile(datagrams), DEFAULT_ENTERPRISE)] as unknown as Line[]) {
    if (line.kind === "datagram") subAgent = line.sub_agent_id!;
    const told: LaneTold = lanes.get(subAgent) ?? { unsent: 0 };
    lanes.set(subAgent, told);
    const flows = line.records?.filter(({ record }) => record === "skyfall_flow").length ?? 0;
    if (line.source_id === "3:1" && flows > 0 && told.before === undefined) {
      [told.before, told.drops] = [line.sample_pool! - flows, line.drops!];
    }
    for (const { record, send_lost_records } of line.records ?? []) if (record === "skyfall_agent_losses") told.unsent = send_lost_records!;
  }
  return [...lanes.values()];
}

function hasFlows(datagrams: readonly Uint8Array[]): boolean {
  return laneStories(datagrams).some(({ before }) => before !== undefined);
}

testWith(missing, "on SIGHUP the agent takes in another collector, and refuses a file that is wrong", async () => {
  using first = openCollector(), second = openCollector();
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  const write = (port: number, rest = "") => Deno.writeTextFile(path, `collector: 127.0.0.1:${port}\nmetrics_listen: off\n${rest}`);
  await write(first.port);
  await withAgent(["--config", path], async (agent) => {
    assert.ok(await receivesSoon(first));
    await write(second.port, "interim_interval_ms: soon\n");
    agent.kill("SIGHUP");
    const { error } = parseLine(await agent.line("configuration refused"));
    assert.equal(error, `Cannot read configuration "${path}", line 3: interim_interval_ms: "soon", needed 100 to 60000`);
    await write(second.port, "nice: 3\ninterim_interval_ms: 200\n");
    agent.kill("SIGHUP");
    assert.deepEqual(parseLine(await agent.line("configuration reloaded"))["needs_restart"], ["nice"]);
    await talk();
    assert.ok(await receivesSoon(second));
  });
});

testWith(
  missing,
  "agent run observes without a collector's name, counts what it cannot send as dropped, and sends when the name appears",
  async () => {
    using collector = openCollector();
    const datagrams: Uint8Array[] = [];
    const hosts = await Deno.makeTempFile();
    await Deno.chmod(hosts, 0o644);
    const name = "collector.skyfall.invalid";
    const lines = await withAgent(["--collector", `${name}:${collector.port}`, ...NO_METRICS], async (agent) => {
      await agent.line("no collector");
      await talk();
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      await Deno.writeTextFile(hosts, `127.0.0.1 ${name}\n`);
      await agent.line("collector found");
      await talk();
      while (!hasFlows(datagrams)) datagrams.push(...await receiveSoon(collector));
    }, afterHiding(`mount --bind ${hosts} /etc/hosts`));
    datagrams.push(...await receiveSoon(collector));
    const ledger = lines.at(-1)!["ledger"] as Readonly<Record<string, number>>;
    assert.ok(
      ledger["resolve_failures"]! >= 1 && ledger["send_lost_records"]! >= 2 && ledger["sent_datagrams"]! >= 1,
      JSON.stringify(ledger),
    );
    const lanes = laneStories(datagrams);
    for (const { before, drops, unsent } of lanes) {
      if (before !== undefined) assert.deepEqual([drops, unsent], [before, before], "made and lost before the first that came");
    }
    assert.equal(lanes.reduce((sum, { unsent }) => sum + unsent, 0), ledger["send_lost_records"]);
    assert.equal(ledger["dropped_events"], ledger["send_lost_records"]);
    assert.equal(lines.filter(({ message }) => message === "no collector").length, 1);
  },
);

testWith(missing, "agent run goes on while the collector is gone, says so once, and sends again when it is back", async () => {
  const first = openCollector(), { port } = first;
  const lines = await withAgent(["--collector", `127.0.0.1:${port}`, ...NO_METRICS], async (agent) => {
    assert.ok(await receivesSoon(first));
    first[Symbol.dispose]();
    for (let i = 0; i < 4; i++) {
      await talk();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await agent.line("collector does not listen");
    using second = openCollector(port);
    await talk();
    assert.ok(await receivesSoon(second));
  });
  assert.equal(lines.filter(({ message }) => message === "collector does not listen").length, 1);
});

testWith(
  firstMissing(missing, await missingCommand("ip", "-V")),
  "agent run starts without a network, and finds its collector again when the host gets another address",
  async () => {
    const lines = await withAgent(["--collector", "10.99.0.9:6343", ...NO_METRICS], async (agent) => {
      const configure = async (script: string) => {
        const args = [`--target=${agent.pid}`, "--net", "sh", "-ec", script];
        assert.ok((await new Deno.Command("nsenter", { args }).output()).success, script);
      };
      assert.match(String(parseLine(await agent.line("no collector"))["error"]), /connect a UDP socket/);
      await configure("ip link add skyfall0 type veth peer skyfall1; ip link set skyfall1 up; ip link set skyfall0 up");
      await configure("ip address add 10.99.0.1/24 dev skyfall0");
      await agent.line("collector found");
      await configure("ip address flush dev skyfall0; ip address add 10.99.0.2/24 dev skyfall0");
      await agent.line("collector cannot be reached"); // with the counters, which go every 10 s, if nothing else does
      await agent.line('"local_address":"10.99.0.2"');
    }, ["unshare", "--net", "sh", "-ec", `ip link set lo up; exec "$@"`, "sh"]); // the self-test needs loopback
    const { sent_datagrams, lost_datagrams } = lines.at(-1)!["ledger"] as Readonly<Record<string, number>>;
    assert.ok(sent_datagrams! >= 1 && lost_datagrams! >= 1, `sent ${sent_datagrams}, lost ${lost_datagrams}`);
  },
);

testWith(missing, "agent run signs its datagrams with the key of its file", async () => {
  using collector = openCollector();
  const keyFile = await Deno.makeTempFile(), datagrams: Uint8Array<ArrayBuffer>[] = [];
  await Deno.writeTextFile(keyFile, "correct horse battery staple\n");
  await withAgent(["--collector", `127.0.0.1:${collector.port}`, "--key-file", keyFile, ...NO_METRICS], async () => {
    await talk();
    while (!hasFlows(datagrams)) datagrams.push(...await receiveSoon(collector) as Uint8Array<ArrayBuffer>[]);
  });
  const keys = parseKeys(await Deno.readTextFile(keyFile)), others = parseKeys("another horse, another staple");
  for (const datagram of datagrams) {
    assert.ok(verify(datagram, keys, DEFAULT_ENTERPRISE) !== null);
    assert.equal(verify(datagram, others, DEFAULT_ENTERPRISE), null);
  }
});
