/** The governor under a real load: the agent does less until its cost is under its limit, says what it left out, and recovers. */

import assert from "node:assert/strict";
import { ConnectionLoad } from "../bench/load.ts";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { captureAgent } from "./captured.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { freeTcpPort } from "./running_agent.ts";

const LIMIT_PERCENT = 4, CONNECTIONS_PER_SECOND = 5_000, LOAD_S = 100;
/** Windows of ten seconds: within how many the limit is kept, and for how many in a row that is looked at. */
const WINDOWS_TO_CAP = 5, WINDOWS_KEPT = 3, WINDOWS_TO_RECOVER = 8;

/** The agent's metrics, by name without the prefix. */
async function scrape(port: number): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return new Map([...text.matchAll(/^skyfall_agent_(\w+) (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)]));
}

/** Metrics after the next window of the governor: its cost is measured, and hardly ever the same twice. */
async function nextWindow(port: number): Promise<ReadonlyMap<string, number>> {
  const before = (await scrape(port)).get("cpu_percent");
  for (let attempt = 0; attempt < 100; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const metrics = await scrape(port);
    if (metrics.get("cpu_percent") !== before) return metrics;
  }
  throw new Error("Cannot see another window: the cost has not changed for 20 s");
}

testWith(
  firstMissing(await missingKernel(), await missingCommand("clang-14", "--version")),
  "agent run under a load over its limit steps down until it keeps it, counts what it leaves out, and steps back after the load",
  async () => {
    const port = freeTcpPort(), path = await Deno.makeTempFile({ suffix: ".yaml" });
    // Not nice: what it may take is looked at, not what others leave it.
    await Deno.writeTextFile(path, `metrics_listen: 127.0.0.1:${port}\nnice: 0\ncpu_limit_percent: ${LIMIT_PERCENT}\n`);
    const costs: string[] = [];
    let last: ReadonlyMap<string, number> = new Map();
    const look = async () => {
      last = await nextWindow(port);
      const [step, cpu, kernel] = ["governor_step", "cpu_percent", "kernel_percent"].map((name) => last.get(name)!);
      costs.push(`step ${step}: ${cpu!.toFixed(2)} %, of that kernel ${kernel!.toFixed(2)} %`);
      return { step: step!, cpu: cpu!, kernel: kernel! };
    };
    const datagrams = await captureAgent(async () => {
      let loaded = 0;
      {
        await using load = await ConnectionLoad.start(10, CONNECTIONS_PER_SECOND, LOAD_S);
        const running = load.run();
        let seen = await look();
        for (let window = 0; seen.cpu > LIMIT_PERCENT || seen.step === 0; window++) {
          assert.ok(window < WINDOWS_TO_CAP, costs.join("; "));
          seen = await look();
        }
        assert.ok(seen.kernel > 0.1, costs.join("; "));
        // What others do on the host changes what a socket costs: one window may be over, and leads to the next step.
        let over = 0;
        for (let window = 0; window < WINDOWS_KEPT; window++) {
          seen = await look();
          if (seen.cpu > LIMIT_PERCENT) over++;
        }
        assert.ok(over <= 1, costs.join("; "));
        const { connections } = await running;
        loaded = (await scrape(port)).get("governor_step")!;
        assert.ok(connections > LOAD_S * CONNECTIONS_PER_SECOND / 2, `${connections} connections made`);
      }
      for (let window = 0; (await look()).step >= loaded; window++) assert.ok(window < WINDOWS_TO_RECOVER, costs.join("; "));
      last = await scrape(port);
    }, ["--config", path]);
    const { receive, receiver } = testReceiver(1 << 16);
    for (const datagram of datagrams) receive(datagram);
    const { agentDrops, missingRecords } = receiver.streams.counts();
    const metric = (name: string) => last.get(`${name}_total`)!;
    // Others on the host may have had connections that ended after the last look.
    const dropped = metric("governor_dropped_flows");
    assert.ok(dropped > 0 && agentDrops >= dropped && agentDrops <= 1.01 * dropped, `${agentDrops} in the datagrams, ${dropped} counted`);
    assert.deepEqual([missingRecords, metric("ring_lost_events")], [0, 0]);
    // Every end was reported, or counted as left out.
    const ends = receiver.counts.flow_records_received + agentDrops;
    assert.ok(ends >= metric("ended_connections"), `${ends} of ${metric("ended_connections")}`);
  },
);
