/**
 * Traffic of known times: speaks until some seconds after the second minute from now began, then prints what was sent to each
 * port in each minute of the wall clock. Both ends are in this process.
 */

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";

/** What a port was sent: [minute since 1970, bytes]. */
export interface SentToPort {
  readonly kind: "short" | "medium" | "long" | "sparse" | "udp";
  readonly port: number;
  readonly minutes: readonly (readonly [minute: number, bytes: number])[];
}

const MINUTE_MS = 60_000;
/** Distances of the bursts from the beginning of a minute. */
const BURSTS_MS = [-20_000, -2_000, -1_000, 1_000, 2_000, 6_000];
/** Of a connection that is idle over the beginning of each minute. */
const SPARSE_MS = [4_000];
const LONG_BURST_BYTES = 1_000_000, DATAGRAM_BYTES = 1_000, DATAGRAMS = 50;
const SHORT_EVERY_MS = 150, SHORT_BYTES = 20_000, MEDIUM_EVERY_MS = 1_000, MEDIUM_WRITES = 8, MEDIUM_PAUSE_MS = 500;
/** Nothing is sent so near to the beginning of a minute: whose it would be is for nobody to say. */
const APART_MS = 1_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const endMs = (Math.floor(Date.now() / MINUTE_MS) + 2) * MINUTE_MS + 6_500;

class Sent {
  readonly #minutes = new Map<number, number>();

  add(bytes: number, beforeMs: number): void {
    const minute = Math.floor(beforeMs / MINUTE_MS);
    assert.equal(minute, Math.floor(Date.now() / MINUTE_MS), "what was sent in one minute arrived in the next");
    this.#minutes.set(minute, (this.#minutes.get(minute) ?? 0) + bytes);
  }

  of(kind: SentToPort["kind"], port: number): SentToPort {
    return { kind, port, minutes: [...this.#minutes] };
  }
}

/** Connects, and resolves each write when the other end has read it. */
class Pair implements Disposable {
  readonly #ends: readonly [Deno.TcpConn, Deno.TcpConn];

  private constructor(ends: readonly [Deno.TcpConn, Deno.TcpConn]) {
    this.#ends = ends;
  }

  static async connect(listener: Deno.TcpListener): Promise<Pair> {
    const [client, server] = await Promise.all([Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }), listener.accept()]);
    return new Pair([client, server]);
  }

  async send(bytes: number, sent: Sent): Promise<void> {
    const [client, server] = this.#ends, startMs = Date.now();
    const writing = (async () => {
      for (let rest = new Uint8Array(bytes); rest.length > 0;) rest = rest.subarray(await client.write(rest));
    })();
    const buffer = new Uint8Array(1 << 16);
    for (let left = bytes; left > 0;) left -= (await server.read(buffer))!;
    await writing;
    sent.add(bytes, startMs);
  }

  [Symbol.dispose](): void {
    for (const end of this.#ends) end.close();
  }
}

async function avoidMinute(): Promise<void> {
  const intoMs = Date.now() % MINUTE_MS;
  if (intoMs > MINUTE_MS - APART_MS) await pause(MINUTE_MS - intoMs + APART_MS);
  else if (intoMs < APART_MS) await pause(APART_MS - intoMs);
}

/** Calls `burst` at each of the times that is still to come. */
async function atBursts(burstsMs: readonly number[], burst: () => Promise<void>): Promise<void> {
  const first = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  for (const minuteMs of [first, first + MINUTE_MS, first + 2 * MINUTE_MS]) {
    for (const offsetMs of burstsMs) {
      const waitMs = minuteMs + offsetMs - Date.now();
      if (waitMs < 0) continue;
      await pause(waitMs);
      await burst();
    }
  }
}

async function long(kind: "long" | "sparse", burstsMs: readonly number[]): Promise<SentToPort> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using pair = await Pair.connect(listener);
  const sent = new Sent();
  await avoidMinute();
  await pair.send(LONG_BURST_BYTES, sent);
  await atBursts(burstsMs, () => pair.send(LONG_BURST_BYTES, sent));
  return sent.of(kind, listener.addr.port);
}

/** Several at once, each of some seconds; many live over the beginning of a minute. */
async function medium(): Promise<SentToPort> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sent = new Sent(), all: Promise<void>[] = [];
  const one = async () => {
    using pair = await Pair.connect(listener);
    for (let i = 0; i < MEDIUM_WRITES; i++) {
      await avoidMinute();
      await pair.send(SHORT_BYTES, sent);
      await pause(MEDIUM_PAUSE_MS);
    }
  };
  for (; Date.now() < endMs - MEDIUM_WRITES * MEDIUM_PAUSE_MS; await pause(MEDIUM_EVERY_MS)) all.push(one());
  await Promise.all(all);
  return sent.of("medium", listener.addr.port);
}

async function short(): Promise<SentToPort> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sent = new Sent();
  for (; Date.now() < endMs; await pause(SHORT_EVERY_MS)) {
    await avoidMinute();
    using pair = await Pair.connect(listener);
    await pair.send(SHORT_BYTES, sent);
  }
  return sent.of("short", listener.addr.port);
}

async function udp(): Promise<SentToPort> {
  const server = createSocket("udp4"), client = createSocket("udp4"), sent = new Sent();
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const { port } = server.address();
  let received = 0;
  server.on("message", (message) => received += message.length);
  await atBursts(BURSTS_MS, async () => {
    const startMs = Date.now();
    for (let i = 0; i < DATAGRAMS; i++) {
      await new Promise((resolve) => client.send(new Uint8Array(DATAGRAM_BYTES), port, "127.0.0.1", resolve));
    }
    sent.add(DATAGRAMS * DATAGRAM_BYTES, startMs);
  });
  await pause(200);
  assert.equal(received % (DATAGRAMS * DATAGRAM_BYTES), 0);
  server.close();
  client.close();
  return sent.of("udp", port);
}

if (import.meta.main) {
  console.log(JSON.stringify(await Promise.all([short(), medium(), long("long", BURSTS_MS), long("sparse", SPARSE_MS), udp()])));
}
