/**
 * One of several collectors, which share a key with their agents, is stopped and started again while an agent sends: every flow
 * record is in one of the ledgers.
 */

import assert from "node:assert/strict";
import { CollectorLinks } from "../agent/collector_links.ts";
import type { Datagram } from "../agent/encode.ts";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { laneSubAgent } from "../lib/lanes.ts";
import { AUTHENTICATION_BYTES, DatagramSigner, parseKeys } from "../lib/sflow/authentication.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { RunningTask } from "./command.ts";
import { missingKernel, testWith } from "./require.ts";
import { NO_METRICS, talk, withAgent } from "./running_agent.ts";

const KEYS = "correct horse battery staple\n";
/** Place of the number of samples in a datagram with an IPv4 address. */
const SAMPLE_COUNT_AT = 24;
const LANES = 8, FLUSH_MS = 50, DATAGRAMS_PER_FLUSH = 40;

/** Sends as an agent does, by its own links, until it is stopped. */
class SteadyAgent implements Disposable {
  readonly links: CollectorLinks;
  readonly #sequences = Array<number>(LANES).fill(0);
  readonly #signers: readonly DatagramSigner[];
  #isStopped = false;
  readonly #startedMs = performance.now();
  readonly #running: Promise<void>;
  made = 0;

  constructor(ports: readonly number[]) {
    const key = parseKeys(KEYS)[0]!;
    this.links = new CollectorLinks(ports.map((port) => ({ host: "127.0.0.1", port })), key);
    this.#signers = this.#sequences.map(() => new DatagramSigner(key, DEFAULT_ENTERPRISE, Date.now() * 1_000));
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    await this.links.find(performance.now());
    while (!this.#isStopped) {
      this.links.probe(performance.now(), () => ({ bytes: datagram([], { subAgent: laneSubAgent(255, 255) }), subAgent: 0, flowCount: 0 }));
      await this.links.send(this.#flush());
      await pause(FLUSH_MS);
    }
  }

  *#flush(): Generator<Datagram> {
    for (let i = 0; i < DATAGRAMS_PER_FLUSH; i++) {
      const lane = this.made % LANES, subAgent = laneSubAgent(lane, LANES), sequence = ++this.#sequences[lane]!;
      const flow = skyfallRecord("skyfall_flow", { ...FLOW, flow_id: ++this.made });
      const sample = flowSample([HOST, PROCESS, flow], { sequence, pool: sequence });
      const uptimeMs = Math.floor(performance.now() - this.#startedMs);
      const unsigned = datagram([sample], { subAgent, sequence, uptimeMs });
      const bytes = new Uint8Array(unsigned.length + AUTHENTICATION_BYTES);
      bytes.set(unsigned);
      this.#signers[lane]!.sign(bytes, unsigned.length, SAMPLE_COUNT_AT, Date.now() * 1_000);
      yield { bytes, subAgent, flowCount: 1 };
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.links[Symbol.dispose]();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A collector that has the agents' key, but would sign with another. */
async function start(port: number): Promise<RunningTask> {
  const folder = await Deno.makeTempDir(), keyFile = `${folder}/keys`;
  await Deno.writeTextFile(keyFile, `another horse, another staple\n${KEYS}`);
  return await RunningTask.start("collector", [
    ...["run", "--listen", `127.0.0.1:${port}`, "--workers", "2", "--topic", `sqlite:${folder}/topic.db`],
    ...["--metrics-listen", "off", "--key-file", keyFile],
  ]);
}

async function portOf(collector: RunningTask): Promise<number> {
  return JSON.parse(await collector.line("listening")).port;
}

async function ledgerOf(collector: RunningTask): Promise<Readonly<Record<string, number>>> {
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(await collector.line('"stopped"')).ledger;
}

Deno.test("a collector that is stopped while another runs loses no flow record, and gets its lanes back when it is started again", async () => {
  const collectors = [await start(0), await start(0)], ports = await Promise.all(collectors.map(portOf));
  using agent = new SteadyAgent(ports);
  await pause(1_000);
  const first = await ledgerOf(collectors[0]!);
  await pause(1_000);
  assert.deepEqual([agent.links.counts.lostDatagrams, agent.links.counts.refusals], [0, 0]);
  assert.ok(agent.links.counts.leaves > 0 && first["leaves_sent"]! > 0);
  const again = await start(ports[0]!);
  await again.line("listening");
  await pause(9_000);
  await agent.stop();
  const second = await ledgerOf(again), other = await ledgerOf(collectors[1]!);
  const of = (name: string) => [first[name]!, second[name]!, other[name]!], sum = (name: string) => of(name).reduce((a, b) => a + b);
  assert.ok(of("flow_records_received").every((count) => count > 0), `${of("flow_records_received")} of ${agent.made}`);
  assert.deepEqual([sum("flow_records_received"), sum("events_published"), sum("balance")], [agent.made, agent.made, 0]);
  assert.equal(agent.links.counts.lostDatagrams, 0);
});

testWith(await missingKernel(), "agent run loses no flow record to a collector that is stopped while another runs", async () => {
  const collectors = [await start(0), await start(0)], ports = await Promise.all(collectors.map(portOf));
  const folder = await Deno.makeTempDir(), config = `${folder}/agent.yaml`;
  await Deno.writeTextFile(`${folder}/key`, KEYS);
  const list = ports.map((port) => `  - 127.0.0.1:${port}\n`).join("");
  await Deno.writeTextFile(config, `collectors:\n${list}lanes: 16\ninterim_interval_ms: 200\nkey_file: ${folder}/key\n`);
  const ledgers: Readonly<Record<string, number>>[] = [];
  const lines = await withAgent(["--config", config, ...NO_METRICS], async () => {
    let isStopped = false;
    const talking = (async () => {
      for (; !isStopped; await pause(20)) await talk();
    })();
    await pause(3_000);
    ledgers.push(await ledgerOf(collectors[0]!));
    await pause(2_000);
    isStopped = true;
    await talking;
  });
  ledgers.push(await ledgerOf(collectors[1]!));
  const { flow_records, lost_datagrams, refused_datagrams, collector_leaves } = lines.at(-1)!["ledger"] as Readonly<Record<string, number>>;
  const received = ledgers.map(({ flow_records_received }) => flow_records_received!);
  assert.ok(received.every((count) => count > 0) && collector_leaves! > 0, JSON.stringify(lines));
  assert.deepEqual([received[0]! + received[1]!, lost_datagrams, refused_datagrams], [flow_records, 0, 0]);
});
