/** A collector follows another on the same port while agents send: every datagram is in one of the two ledgers. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { DatagramSender } from "../ffi/libc.ts";
import { parseAddress } from "../lib/ip_address.ts";
import { laneSubAgent } from "../lib/lanes.ts";
import { RunningTask } from "./command.ts";
import { freeTcpPort } from "./running_agent.ts";

const AGENTS = 20, LANES = 4, DATAGRAMS_PER_MS = 5, PAUSE_MS = 2;

/** Sends the datagrams of many agents one after the other until it is stopped. */
class SteadySender implements Disposable {
  readonly #sender: DatagramSender;
  readonly #timer: number;
  sent = 0;

  constructor(port: number) {
    this.#sender = new DatagramSender(parseAddress("127.0.0.1"), port, true);
    let lastMs = performance.now();
    this.#timer = Number(setInterval(() => {
      const nowMs = performance.now(), due = Math.floor((nowMs - lastMs) * DATAGRAMS_PER_MS);
      lastMs += due / DATAGRAMS_PER_MS;
      for (let i = 0; i < due; i++) this.#sendNext();
    }, PAUSE_MS));
  }

  #sendNext(): void {
    const stream = this.sent % (AGENTS * LANES), sequence = Math.floor(this.sent / (AGENTS * LANES)) + 1;
    const agent = Uint8Array.of(10, 0, 0, Math.floor(stream / LANES)), subAgent = laneSubAgent(stream % LANES, LANES);
    const flow = skyfallRecord("skyfall_flow", { ...FLOW, flow_id: this.sent + 1 });
    const sample = flowSample([HOST, PROCESS, flow], { sequence, pool: sequence });
    assert.equal(this.#sender.send(datagram([sample], { agent, subAgent, sequence, uptimeMs: sequence })), 0);
    this.sent++;
  }

  /** Datagrams that came back. */
  answers(): number {
    let count = 0;
    while (this.#sender.receive(new Uint8Array(64)) >= 0) count++;
    return count;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
    this.#sender[Symbol.dispose]();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function ledgerOf(collector: RunningTask): Promise<Readonly<Record<string, number>>> {
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(await collector.line('"stopped"')).ledger;
}

for (const [workers, workersAfter] of [[1, 2], [2, 2], [3, 1]] as const) {
  Deno.test(`a collector of ${workersAfter} workers takes over from one of ${workers}, also its metrics, and no datagram is lost`, async () => {
    const metricsPort = freeTcpPort(), topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
    const start = (port: number, count: number, ...args: string[]) =>
      RunningTask.start("collector", [
        ...["run", "--listen", `127.0.0.1:${port}`, "--workers", String(count), "--topic", topic],
        ...["--metrics-listen", `127.0.0.1:${metricsPort}`, ...args],
      ]);
    const old = await start(0, workers);
    const { port } = JSON.parse(await old.line("listening"));
    using sender = new SteadySender(port);
    await pause(300);
    const next = await start(port, workersAfter, "--take-over");
    assert.equal(JSON.parse(await next.line("listening")).taken_over_sockets, workers);
    await pause(300);
    const before = await ledgerOf(old);
    await next.line("took over");
    await next.line("serving metrics");
    await pause(300);
    const last = await start(port, workersAfter, "--take-over"); // and from one that has taken over
    await last.line("listening");
    const after = await ledgerOf(next);
    await last.line("took over");
    assert.deepEqual([before["leaves_sent"], after["leaves_sent"], sender.answers()], [0, 0, 0], "its agents stay");
    sender.stop();
    const end = await ledgerOf(last);
    const sum = (name: string) => before[name]! + after[name]! + end[name]!;
    assert.ok(before["datagrams_received"]! > 0 && after["datagrams_received"]! > 0);
    assert.deepEqual(
      [sum("datagrams_received"), sum("events_published"), sum("datagrams_lost"), sum("socket_dropped_datagrams"), sum("balance")],
      [sender.sent, sender.sent, 0, 0, 0],
    );
    assert.ok(end["leaves_sent"]! > 0 && sender.answers() > 0, "nobody follows");
  });
}
