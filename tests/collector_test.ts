/** The collector as a program: from datagrams on its port to rows in the topic, and what it says when it cannot work. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, GOLDEN, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { pcapFile } from "../collector/testdata/pcap.ts";
import { UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { replay } from "./captured.ts";
import { RunningTask, runTask } from "./command.ts";
import { testWith } from "./require.ts";
import { missingSmallDisk, SmallDisk } from "./small_disk.ts";

const LISTEN = ["run", "--listen", "127.0.0.1:0", "--workers", "2"];
const DATAGRAMS = 500, FLOWS_PER_DATAGRAM = 3, CLIENT_PORTS = 100;

function failure(stderr: string): string {
  const line = JSON.parse(stderr.trimEnd().split("\n").at(-1)!);
  assert.equal(line.message, "failed");
  return line.error;
}

/** Datagrams of one agent: flow i of a client to one of 10 servers, from one of 100 ports. */
function agentDatagrams(): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: DATAGRAMS }, (_, d) => {
    const flows = Array.from({ length: FLOWS_PER_DATAGRAM }, (_, f) => {
      const i = d * FLOWS_PER_DATAGRAM + f;
      const local_port = 40_000 + i % CLIENT_PORTS;
      return skyfallRecord("skyfall_flow", {
        ...FLOW,
        flow_id: i + 1,
        local_port,
        remote_port: 5_000 + i % 10,
        tx_bytes: i,
        rx_bytes: 2 * i,
      });
    });
    const pool = (d + 1) * FLOWS_PER_DATAGRAM;
    return datagram([flowSample([HOST, PROCESS, ...flows], { sequence: d + 1, pool })], { sequence: d + 1, uptimeMs: 1_000 + d });
  });
}

Deno.test("collector run adds up what it receives, and on SIGTERM has stored every event", async () => {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const collector = await RunningTask.start("collector", [...LISTEN, "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await replay(agentDatagrams(), port);
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  const { ledger } = JSON.parse(await collector.line("stopped"));
  const flows = DATAGRAMS * FLOWS_PER_DATAGRAM;
  assert.deepEqual(
    [ledger.datagrams_received, ledger.datagrams_lost, ledger.flow_records_received, ledger.events_published, ledger.balance],
    [DATAGRAMS, 0, flows, flows, 0],
  );

  const rows: Record<number, { tx: bigint; ports: number[] }> = {};
  await using consumer = await openConsumer(topic);
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { value } of await consumer.read(partition, 0n, 1 << 30)) {
      const { rowCount, columns: { server_port, bytes_sent, client_ports: { offsets, values } } } = decodeFlowBatch(value);
      for (let i = 0; i < rowCount; i++) {
        rows[server_port.values[i]!] = { tx: bytes_sent.values[i]!, ports: [...values.subarray(offsets[i], offsets[i + 1])] };
      }
    }
  }
  const expected = Object.fromEntries(Array.from({ length: 10 }, (_, server) => {
    const mine = Array.from({ length: flows }, (_, i) => i).filter((i) => i % 10 === server);
    const ports = [...new Set(mine.map((i) => 40_000 + i % CLIENT_PORTS))].sort((a, b) => a - b);
    return [5_000 + server, { tx: BigInt(mine.reduce((sum, i) => sum + i, 0)), ports }];
  }));
  assert.deepEqual(rows, expected);
});

for (const spaceIsFreed of [true, false]) {
  testWith(
    await missingSmallDisk(),
    spaceIsFreed
      ? "collector run waits for a disk that is full, and loses nothing"
      : "collector run fails where a disk stays full, and says how much is lost",
    async () => {
      await using disk = await SmallDisk.mount(1 << 20);
      const topic = `sqlite:${disk.path}/topic.db`;
      const collector = await RunningTask.start("collector", [...LISTEN, "--window-s", "1", "--topic", topic]);
      const { port } = JSON.parse(await collector.line("listening"));
      const free = await disk.fill();
      await replay(agentDatagrams(), port);
      assert.match(JSON.parse(await collector.line("rows wait for the topic")).error, /the disk is full; free some space/);
      if (spaceIsFreed) await free();
      collector.kill("SIGTERM");
      const { code, stderr } = await collector.ended;
      const { ledger } = JSON.parse(await collector.line("stopped"));
      const flows = DATAGRAMS * FLOWS_PER_DATAGRAM;
      assert.equal(ledger.balance, 0);
      assert.ok(ledger.publish_failures > 0);
      if (spaceIsFreed) {
        assert.deepEqual([code, ledger.events_published, ledger.events_unpublished], [0, flows, 0]);
      } else {
        assert.deepEqual([code, ledger.events_published, ledger.events_unpublished], [1, 0, flows]);
        assert.match(failure(stderr), new RegExp(`Cannot store ${flows} events in topic "${topic}"`));
      }
    },
  );
}

Deno.test("collector run says that its port is taken, and what to do", async () => {
  const text = "127.0.0.1:0";
  using taken = UdpReceiver.bind(parseHostPort(text).address, 0, true, text);
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const { code, stderr } = await runTask("collector", ["run", "--listen", `127.0.0.1:${taken.port}`, "--topic", topic]);
  assert.equal(code, 1);
  assert.match(
    failure(stderr),
    new RegExp(`Cannot listen on UDP 127\\.0\\.0\\.1:${taken.port}: another program listens there; stop it or choose another port`),
  );
});

Deno.test("collector run refuses a topic that is another program's file, and leaves it as it was", async () => {
  const path = await Deno.makeTempFile();
  const text = "not a database, but long enough to be looked at ".repeat(50);
  await Deno.writeTextFile(path, text);
  const { code, stderr } = await runTask("collector", [...LISTEN, "--topic", `sqlite:${path}`]);
  assert.equal(code, 1);
  assert.match(failure(stderr), new RegExp(`"${path}".*no SQLite file`));
  assert.equal(await Deno.readTextFile(path), text);
});

Deno.test("collector run refuses what is no address, as misuse", async () => {
  const { code, stderr } = await runTask("collector", ["run", "--listen", "somewhere", "--topic", "sqlite:topic.db"]);
  assert.equal(code, 2);
  assert.match(stderr, /'somewhere' is invalid/);
});

Deno.test("collector decode prints a capture as JSON lines", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, pcapFile([GOLDEN, GOLDEN.slice(0, 40)]));
  const { code, stdout } = await runTask("collector", ["decode", path]);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(code, 0);
  assert.deepEqual(lines.map(({ datagram, kind }) => [datagram, kind]), [[0, "datagram"], [0, "sample"], [1, "datagram"], [
    1,
    "malformed",
  ]]);
  assert.equal(lines[1].records[2].tx_bytes, 1_000);
});

Deno.test("collector decode names the file that is not there", async () => {
  const { code, stderr } = await runTask("collector", ["decode", "/nowhere/capture.pcap"]);
  assert.equal(code, 1);
  assert.match(failure(stderr), /\/nowhere\/capture\.pcap/);
});
