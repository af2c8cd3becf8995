/** The datagrams of a real agent that observes real traffic. */

import { DatagramSender } from "../ffi/libc.ts";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { type Ended, type Prefix, RunningTask } from "./command.ts";

const LOOPBACK = "127.0.0.1:0";

/** In virtual machines: the only rung that the agent may take. */
const rung = Deno.env.get("AGENT_RUNG");
const RUNG = rung === undefined ? [] : ["--rung", rung];

/** Runs the traffic under an agent, and returns every datagram that the agent sent until it had stopped. */
export async function captureAgent(
  traffic: () => Promise<unknown>,
  agentArguments: readonly string[],
  prefix: Prefix = [],
): Promise<Uint8Array<ArrayBuffer>[]> {
  using socket = UdpReceiver.bind(parseHostPort(LOOPBACK).address, 0, true, LOOPBACK);
  const agent = await RunningTask.start("agent", ["run", "--collector", `127.0.0.1:${socket.port}`, ...RUNG, ...agentArguments], prefix);
  const datagrams: Uint8Array<ArrayBuffer>[] = [];
  let quiet = false;
  const receiving = (async () => {
    for (let count = 1; !quiet || count > 0;) {
      count = socket.receive(); // waits for up to 100 ms
      for (let i = 0; i < count; i++) {
        datagrams.push(new Uint8Array(socket.view.buffer, i * SLOT_BYTES, socket.bytes(i)).slice() as Uint8Array<ArrayBuffer>);
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  })();
  const { code, stderr } = await runUnder(agent, traffic).finally(async () => {
    quiet = true;
    await receiving;
  });
  if (code !== 0) throw new Error(`Cannot capture: the agent ended with ${code}: ${stderr}`);
  if (socket.droppedDatagrams > 0) throw new Error(`Cannot capture: ${socket.droppedDatagrams} datagrams were dropped`);
  return datagrams;
}

async function runUnder(agent: RunningTask, traffic: () => Promise<unknown>): Promise<Ended> {
  try {
    await agent.line("observing");
    await traffic();
  } finally {
    agent.kill("SIGTERM");
  }
  return await agent.ended;
}

/** Sends the datagrams to a program that listens on loopback, slowly enough for any. */
export async function replay(datagrams: readonly Uint8Array<ArrayBuffer>[], port: number): Promise<void> {
  const { address } = parseHostPort(`127.0.0.1:${port}`);
  using sender = new DatagramSender(address, port, true);
  for (const [i, datagram] of datagrams.entries()) {
    const errno = sender.send(datagram);
    if (errno !== 0) throw new Error(`Cannot replay datagram ${i}: errno ${errno}`);
    if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
