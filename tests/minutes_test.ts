/** Bytes are attributed to the minute in which they were sent, whatever the connection's length and the agent's interval. */

import assert from "node:assert/strict";
import { ROLE_CLIENT, VALUE } from "../collector/aggregate.ts";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { captureAgent } from "./captured.ts";
import type { SentToPort } from "./minutes/actor.ts";
import { missingKernel, testWith } from "./require.ts";

/** The default, and one that does not divide a minute. */
const INTERVALS_MS = [10_000, 7_000];
const TOLERANCE = 0.01;
const MINUTE_US = 60_000_000;

async function runActor(): Promise<SentToPort[]> {
  const args = ["run", "--no-check", "-A", new URL("minutes/actor.ts", import.meta.url).pathname];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stdin: "null", stderr: "inherit" }).output();
  assert.ok(success);
  return JSON.parse(new TextDecoder().decode(stdout)) as SentToPort[];
}

/** Bytes from client to server by end, port and minute, as the collector's rows have them. */
function attributed(datagrams: readonly Uint8Array[], kinds: ReadonlyMap<number, string>): Map<string, number> {
  const { table, receive, flushes } = testReceiver(1 << 14);
  for (const datagram of datagrams) receive(datagram);
  assert.equal(flushes(), 0);
  const bytes = new Map<string, number>();
  for (const row of table.rows()) {
    const kind = kinds.get(table.serverPort(row));
    if (kind === undefined) continue;
    const key = keyOf(kind, table.role(row) === ROLE_CLIENT, Math.floor(table.value(row, VALUE.window_start) / MINUTE_US));
    bytes.set(key, (bytes.get(key) ?? 0) + table.value(row, VALUE.bytes_sent));
  }
  return bytes;
}

function keyOf(kind: string, isClient: boolean, minute: number): string {
  return `${kind} ${isClient ? "client" : "server"} ${new Date(minute * 60_000).toISOString().slice(11, 16)}`;
}

testWith(
  await missingKernel(),
  "bytes are attributed to their minute within 1 %, at both ends, TCP and UDP, and add up exactly",
  async () => {
    // Not nice: when it reports is looked at, not when a busy host lets it.
    const config = await Deno.makeTempFile({ suffix: ".yaml" });
    await Deno.writeTextFile(config, "nice: 0\nmetrics_listen: off\ncpu_limit_percent: 100\n");
    // One actor under all the agents: it starts when the last of them observes.
    const allObserve = Promise.withResolvers<void>();
    let observing = 0;
    const acted = allObserve.promise.then(runActor);
    const captures = INTERVALS_MS.map((intervalMs) =>
      captureAgent(async () => {
        if (++observing === INTERVALS_MS.length) allObserve.resolve();
        await acted;
      }, ["--config", config, "--interim-interval-ms", String(intervalMs)])
    );
    const captured = await Promise.all(captures), sent = await acted;
    const kinds = new Map(sent.map(({ kind, port }) => [port, kind]));
    for (const [i, datagrams] of captured.entries()) {
      const found = attributed(datagrams, kinds);
      for (const { kind, minutes } of sent) {
        assert.ok(minutes.length >= 2, `${kind}: ${minutes.length} minutes`);
        const ofMinute = Math.max(...minutes.map(([, bytes]) => bytes)); // the first and the last were not whole
        for (const isClient of [true, false]) {
          for (const [minute, bytes] of minutes) {
            const key = keyOf(kind, isClient, minute), off = (found.get(key) ?? 0) - bytes;
            assert.ok(Math.abs(off) <= TOLERANCE * ofMinute, `every ${INTERVALS_MS[i]} ms, ${key}: ${found.get(key)} bytes, sent ${bytes}`);
          }
          const total = found.entries().filter(([key]) => key.startsWith(`${kind} ${isClient ? "client" : "server"} `))
            .reduce((sum, [, bytes]) => sum + bytes, 0);
          assert.equal(total, minutes.reduce((sum, [, bytes]) => sum + bytes, 0), `${kind}, sum`);
        }
      }
    }
  },
);
