/** An agent that runs for a test, a collector that only listens, and a conversation to report. */

import assert from "node:assert/strict";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseAddress } from "../lib/ip_address.ts";
import { type Prefix, RunningTask } from "./command.ts";

export const LOOPBACK = "127.0.0.1:0";
export const NO_METRICS = ["--metrics-listen", "off"];

export interface LogLine {
  readonly message: string;
  readonly [field: string]: unknown;
}

export function parseLine(text: string): LogLine {
  return JSON.parse(text);
}

export function openCollector(port = 0): UdpReceiver {
  return UdpReceiver.bind(parseAddress("127.0.0.1"), port, true, LOOPBACK);
}

/** A TCP port of 127.0.0.1 that is free now. */
export function freeTcpPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The next datagrams, in bounded time; none if none come. */
export async function receiveSoon(collector: UdpReceiver): Promise<Uint8Array[]> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const count = collector.receive(); // waits for up to 100 ms
    if (count > 0) {
      return Array.from({ length: count }, (_, i) => new Uint8Array(collector.view.buffer, i * SLOT_BYTES, collector.bytes(i)).slice());
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return [];
}

export async function receivesSoon(collector: UdpReceiver): Promise<boolean> {
  return (await receiveSoon(collector)).length > 0;
}

/** Runs an agent until `use` is done, then stops it as its operator would; resolves with its last words. */
export async function withAgent(
  args: readonly string[],
  use: (agent: RunningTask) => Promise<void>,
  prefix: Prefix = [],
): Promise<LogLine[]> {
  const agent = await RunningTask.start("agent", ["run", ...args], prefix);
  try {
    await agent.line("observing");
    await use(agent);
  } finally {
    agent.kill("SIGTERM");
  }
  const { code, stderr } = await agent.ended;
  assert.equal(code, 0, stderr);
  return stderr.trimEnd().split("\n").map(parseLine);
}

/** A connection over loopback that sends one byte and ends. */
export async function talk(): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const server = await accepting;
  await client.write(new Uint8Array(1));
  await server.read(new Uint8Array(1));
  client.close();
  server.close();
}
