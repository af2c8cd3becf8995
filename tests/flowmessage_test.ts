/** goflow2's own schema reads what the collector publishes as its format. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { goflow2Reader } from "../tools/cache.ts";
import { replay } from "./captured.ts";
import { RunningTask } from "./command.ts";
import { missingCommand, testWith } from "./require.ts";

const FLOWS = 200;

interface Line {
  readonly message: Readonly<Record<string, string | number>>;
  readonly unknown_bytes: number;
}

/** The messages, each behind its length as a varint, as protodelim has it. */
function delimited(messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const message of messages) {
    let length = message.length;
    for (; length > 0x7f; length >>>= 7) bytes.push(length & 0x7f | 0x80);
    bytes.push(length, ...message);
  }
  return Uint8Array.from(bytes);
}

async function readWithGoflow2(messages: readonly Uint8Array[]): Promise<Line[]> {
  const reader = new Deno.Command(await goflow2Reader(), { stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const written = (async () => {
    const writer = reader.stdin.getWriter();
    await writer.write(delimited(messages));
    await writer.close();
  })();
  const { success, stdout, stderr } = await reader.output();
  await written;
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
}

testWith(
  await missingCommand("go", "version"),
  "collector run --format flowmessage publishes what goflow2's schema reads, every byte in its direction",
  async () => {
    const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
    const collector = await RunningTask.start("collector", [
      ...["run", "--listen", "127.0.0.1:0", "--workers", "1", "--format", "flowmessage", "--topic", `${topic}?partitions=2`],
    ]);
    const { port } = JSON.parse(await collector.line("listening"));
    const datagrams = Array.from({ length: FLOWS }, (_, i) => {
      const flow = skyfallRecord("skyfall_flow", {
        ...FLOW,
        remote_port: 1_000 + i,
        tx_bytes: 10 * i,
        rx_bytes: 2 ** 40 + i,
        tx_segments: i + 1,
        rx_segments: 7,
      });
      return datagram([flowSample([HOST, PROCESS, flow], { sequence: i + 1, pool: i + 1 })], { sequence: i + 1, uptimeMs: 1_000 + i });
    });
    await replay(datagrams, port);
    collector.kill("SIGTERM");
    const { code, stderr } = await collector.ended;
    assert.equal(code, 0, stderr);
    const { ledger } = JSON.parse(await collector.line("stopped"));
    assert.deepEqual([ledger.rows_published, ledger.events_published, ledger.messages_published, ledger.balance], [
      FLOWS,
      FLOWS,
      2 * FLOWS,
      0,
    ]);

    await using consumer = await openConsumer(topic);
    const messages = (await Promise.all([0, 1].map((partition) => consumer.read(partition, 0n, 1 << 30)))).flat();
    const lines = await readWithGoflow2(messages.map(({ value }) => value));
    const seen = lines.map(({ message: { type, etype, proto, sampling_rate, src_port, dst_port, bytes, packets }, unknown_bytes }) => {
      assert.deepEqual([type, etype, proto, sampling_rate], ["SFLOW_5", 0x0800, 6, "1"]);
      assert.ok(unknown_bytes > 0);
      return `${src_port}-${dst_port} ${bytes ?? 0} ${packets}`;
    });
    const client = lines.find(({ message }) => Number(message["dst_port"]) === 1_000)!.message["src_port"];
    const expected = Array.from({ length: FLOWS }, (_, i) => [
      `${client}-${1_000 + i} ${10 * i} ${i + 1}`,
      `${1_000 + i}-${client} ${2 ** 40 + i} 7`,
    ]).flat();
    assert.deepEqual(seen.sort(), expected.sort());
  },
);
