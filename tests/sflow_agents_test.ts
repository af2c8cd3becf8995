/** Other sFlow agents feed our collector: pmacctd samples every packet of a capture, and the topic holds what the capture does. */

import assert from "node:assert/strict";
import { concat } from "../collector/testdata/datagram.ts";
import { ethernet, ETHERTYPE, FLAGS, ICMP, ipv4, ipv6, TCP, tcp, UDP, udp, vlanTag } from "../collector/testdata/packet.ts";
import { pcapFileOfFrames } from "../collector/testdata/pcap.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { formatAddress } from "../lib/ip_address.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { RunningTask } from "./command.ts";
import { missingCommand, testWith } from "./require.ts";

const CONVERSATIONS = 8, PACKETS = 400, PINGS = 3;
const REFUSED = `skyfall_collector_standard_refused_total{reason="not_tcp_or_udp"} ${PINGS}`;

/** What a capture holds: its frames, and by conversation the bytes of its client and its server. */
interface Traffic {
  readonly frames: Uint8Array[];
  readonly bytes: Record<string, [number, number]>;
}

/** Packets of conversations over IPv4 and IPv6, TCP and UDP, in a VLAN and not, each with a SYN first where it is TCP; then ICMP. */
function makeTraffic(): Traffic {
  const frames: Uint8Array[] = [], bytes: Traffic["bytes"] = {};
  for (let i = 0; i < PACKETS; i++) {
    const conversation = i % CONVERSATIONS, isFirst = i < CONVERSATIONS, isAnswer = i >= CONVERSATIONS && i % 3 === 0;
    const isIpv4 = conversation % 2 === 0, isTcp = conversation % 4 < 2, isTagged = conversation >= 4;
    const port = 8_000 + conversation, payload = new Uint8Array(isTcp && isFirst ? 0 : 100 + i);
    const ends = isIpv4
      ? [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 1, 2)] as const
      : [Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), 1), Uint8Array.of(0x20, 1, 0xd, 0xb8, ...new Uint8Array(11), 2)] as const;
    const addresses = isAnswer ? [ends[1], ends[0]] as const : ends;
    const ports = isAnswer ? [port, 40_000] as const : [40_000, port] as const;
    const segment = isTcp ? tcp(ports, isFirst ? FLAGS.syn : FLAGS.ack, 3) : udp(ports, payload.length);
    const packet = (isIpv4 ? ipv4 : ipv6)(addresses, isTcp ? TCP : UDP, concat(segment, payload));
    const type = isIpv4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6;
    frames.push(isTagged ? ethernet(ETHERTYPE.vlan, vlanTag(7, type, packet)) : ethernet(type, packet));
    const [client, server] = ends.map((end) => isIpv4 ? [...end].join(".") : `2001:db8::${end[15]}`);
    const sums = bytes[`${isTcp ? "tcp" : "udp"} ${client} > ${server} ${port}`] ??= [0, 0];
    sums[isAnswer ? 1 : 0] += payload.length;
  }
  const ends = [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 1, 2)] as const;
  const ping = ethernet(ETHERTYPE.ipv4, ipv4(ends, ICMP, Uint8Array.of(8, ...new Uint8Array(63))));
  frames.push(...Array<Uint8Array>(PINGS).fill(ping));
  return { frames, bytes };
}

/** Lets pmacctd read a capture, and tell the collector of every packet in it. */
async function runPmacctd(capture: Uint8Array, port: number): Promise<void> {
  const folder = await Deno.makeTempDir();
  const settings = [
    "daemonize: false",
    "plugins: sfprobe",
    `sfprobe_receiver: 127.0.0.1:${port}`,
    "sfprobe_agentip: 10.9.9.9",
    "sampling_rate: 1",
    `pcap_savefile: ${folder}/traffic.pcap`,
  ];
  await Deno.writeFile(`${folder}/traffic.pcap`, capture);
  await Deno.writeTextFile(`${folder}/pmacctd.conf`, settings.join("\n") + "\n");
  const args = ["--kill-after=1", "30", "pmacctd", "-f", `${folder}/pmacctd.conf`];
  const { code, stdout } = await new Deno.Command("timeout", { args, stdin: "null", stdout: "piped", stderr: "piped" }).output();
  assert.notEqual(code, 124, new TextDecoder().decode(stdout));
}

/** Bytes by conversation in the topic, added up over rows. */
async function readTopic(topic: string): Promise<Record<string, [number, number]>> {
  const sums: Record<string, [number, number]> = {};
  await using consumer = await openConsumer(topic);
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { value } of await consumer.read(partition, 0n, 1 << 30)) {
      const { rowCount, columns } = decodeFlowBatch(value);
      const { network_transport: transport, client_ip, server_ip, server_port, bytes_sent, bytes_received } = columns;
      for (let i = 0; i < rowCount; i++) {
        const [client, server] = [client_ip, server_ip].map(({ bytes }) => formatAddress(bytes.subarray(16 * i, 16 * i + 16)));
        const key = `${transport.dictionary[transport.codes[i]!]} ${client} > ${server} ${server_port.values[i]}`;
        const row = sums[key] ??= [0, 0];
        row[0] += Number(bytes_sent.values[i]);
        row[1] += Number(bytes_received.values[i]);
      }
    }
  }
  return sums;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 50; i++) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Cannot go on: 5 s have passed");
}

testWith(
  await missingCommand("pmacctd", "-V"),
  "collector run takes pmacctd's samples of every packet for the flows that they are, and its ledger balances",
  async () => {
    const { frames, bytes } = makeTraffic(), topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
    const args = ["run", "--listen", "127.0.0.1:0", "--workers", "2", "--metrics-listen", "127.0.0.1:0", "--topic", topic];
    const collector = await RunningTask.start("collector", args);
    const { port } = JSON.parse(await collector.line("listening"));
    const metricsPort = JSON.parse(await collector.line("serving metrics")).port;
    await runPmacctd(pcapFileOfFrames(frames), port);
    await until(async () => (await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()).includes(REFUSED));
    collector.kill("SIGTERM");
    const { code, stderr } = await collector.ended;
    assert.equal(code, 0, stderr);
    const { ledger } = JSON.parse(await collector.line("stopped"));
    assert.deepEqual(
      [
        ledger.standard_samples_received,
        ledger.standard_samples_refused,
        ledger.events_published,
        ledger.datagrams_malformed,
        ledger.balance,
      ],
      [PACKETS + PINGS, PINGS, PACKETS, 0, 0],
    );
    assert.deepEqual(await readTopic(topic), bytes);
  },
);
