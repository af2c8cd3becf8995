/** UDP on this kernel: real programs count their datagrams, and the agent's flows are compared with them, peer by peer. */

import assert from "node:assert/strict";
import { type Flow } from "../agent/flow.ts";
import { cgroupRoot } from "../agent/cgroups.ts";
import { selfTestUdp } from "../agent/known_answer_udp.ts";
import { OwnTraffic } from "../agent/own_traffic.ts";
import { ProcessTable } from "../agent/processes.ts";
import { UdpConversations } from "../agent/udp_conversations.ts";
import { UdpPrograms } from "../agent/udp_kernel.ts";
import { BpfObject } from "../ffi/libbpf.ts";
import { formatAddress } from "../lib/ip_address.ts";
import { Chain, lakePath, runJob } from "../chain/chain.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { observeUdp, runActor, type UdpTalk } from "./udp/observed.ts";

const ROLES = ["unknown", "client", "server"] as const;
const missing = firstMissing(await missingKernel(), await missingCommand("python3", "--version"));

/** Scenarios of udp/actor.py, and how many peers, of all its processes' sockets, each is about at least. */
const SCENARIOS: Readonly<Record<string, { readonly about: string; readonly talks: number }>> = {
  dns: { about: "4,000 clients of a server that answers from one socket", talks: 6_000 },
  families: { about: "IPv4, IPv6 and mapped addresses with a server bound to every address", talks: 12 },
  quic: { about: "20,000 datagrams each way over one connected socket", talks: 2 },
  statsd: { about: "datagrams to a sink that never answers, and to a port where nobody listens", talks: 3 },
  mmsg: { about: "sendmmsg() and recvmmsg() with several peers", talks: 6 },
  odd: { about: "looks, cut and empty datagrams, segments, other peers than the connected one, unseen peers", talks: 5 },
  forked: { about: "one socket in several processes", talks: 4 },
};

for (const [scenario, { about, talks }] of Object.entries(SCENARIOS)) {
  testWith(missing, `UDP: ${about}: bytes, datagrams, roles and processes as counted`, async () => {
    const { counted, reported } = await observeUdp(scenario, [], false);
    assert.ok(counted.length >= talks, `${counted.length} peers`);
    assert.deepEqual(reported, counted);
  });
}

const missingNamespaces = firstMissing(missing, await missingCommand("ip", "-V"));

testWith(missingNamespaces, "UDP: sockets of every address in other network namespaces have their only address there", async () => {
  const { counted, reported } = await observeUdp("namespaces", ["--interim-interval-ms", "100"], false);
  assert.deepEqual(reported, counted);
  assert.deepEqual(counted.map(({ local }) => local.split(":")[0]).sort(), ["10.77.0.1", "10.77.0.2"]);
});

testWith(missing, "UDP: the deltas of a conversation of several intervals add up to its total", async () => {
  const { counted, reported, flows } = await observeUdp("long", ["--interim-interval-ms", "1000"], false);
  assert.deepEqual(reported, counted);
  assert.ok(flows.length >= 2 * 3, `${flows.length} flows`);
});

testWith(missing, "UDP: nothing is lost or told twice while datagrams flow and flows are taken 10 times a second", async () => {
  const { counted, reported, flows } = await observeUdp("busy", ["--interim-interval-ms", "100"], false);
  assert.equal(counted.reduce((sum, { tx_datagrams }) => sum + tx_datagrams, 0), 160_000);
  assert.deepEqual(reported, counted);
  assert.ok(flows.length > 2 * counted.length, `${flows.length} flows`);
});

testWith(missing, "UDP: where there are too many peers at once every byte is still counted, some under no peer", async () => {
  const { counted, reported } = await observeUdp("crowd", [], false);
  const sent = (talks: typeof reported) => [0, 0].map((_, i) => talks.reduce((sum, t) => sum + (i === 0 ? t.tx_bytes : t.tx_datagrams), 0));
  assert.deepEqual(sent(reported), sent(counted));
  assert.ok(reported.length > 60_000, `${reported.length} peers`);
});

testWith(missing, "UDP: sockets that were open before the agent have their owner and their role", async () => {
  const { counted, reported } = await observeUdp("older", [], true);
  assert.deepEqual(reported, counted);
});

testWith(missing, "UDP: on a kernel without the tracepoints peers, roles and processes are told, and amounts as unknown", async () => {
  using rung = BpfObject.load(Deno.readFileSync(new URL("../bpf/tp_btf.bpf.o", import.meta.url)));
  using udp = new UdpPrograms(rung, cgroupRoot()!, "seeing");
  const flows: Flow[] = [];
  const conversations = new UdpConversations(new ProcessTable([]), () => 0, (flow) => flows.push(flow), new OwnTraffic(() => []));
  conversations.seed(udp.sockets());
  const counted = await runActor("dns"), pids = new Set(counted.map(({ pid }) => pid));
  const records = udp.take().filter(({ pid }) => pids.has(pid));
  conversations.report(records, udp.sockets());
  assert.equal(new Set(flows.map(({ amounts_known, tx_bytes, rx_bytes }) => amounts_known + tx_bytes + rx_bytes)).size, 1);
  const peers = flows.map(({ role, remote_address, remote_port }, i) =>
    `${records[i]!.pid} ${ROLES[role]} ${formatAddress(remote_address)}:${remote_port}`
  );
  assert.deepEqual(new Set(peers), new Set(counted.map(({ pid, role, remote }) => `${pid} ${role} ${remote}`)));
});

testWith(missing, "UDP: the pair of programs for kernels that preempt them counts every call once", async () => {
  using rung = BpfObject.load(Deno.readFileSync(new URL("../bpf/tp_btf.bpf.o", import.meta.url)));
  using udp = new UdpPrograms(rung, cgroupRoot()!, "countingTwice");
  const wrong = selfTestUdp(udp, () => {}).filter(({ expected, actual }) => expected !== actual);
  assert.deepEqual(wrong, []);
  const counted = await runActor("quic"), pids = new Set(counted.map(({ pid }) => pid));
  const taken = udp.take().filter(({ pid }) => pids.has(pid));
  const amounts = (of: readonly Pick<UdpTalk, "pid" | "tx_bytes" | "tx_datagrams" | "rx_bytes" | "rx_datagrams">[]) =>
    of.map((t) => [t.pid, t.tx_bytes, t.tx_datagrams, t.rx_bytes, t.rx_datagrams].join()).sort();
  assert.deepEqual(amounts(taken), amounts(counted));
  assert.equal(udp.counters().udp_missed_calls, 0);
});

/** What the lake should say of a process that talked to or from one service. */
function rowOf(talks: readonly UdpTalk[], role: string): Record<string, string | number> {
  const own = talks.filter((talk) => talk.role === role);
  const sum = (field: "tx_bytes" | "rx_bytes" | "tx_datagrams" | "rx_datagrams") => own.reduce((total, talk) => total + talk[field], 0);
  const isClient = role === "client";
  const [, server_port] = (isClient ? own[0]!.remote : own[0]!.local).split(":");
  return {
    network_transport: "udp",
    observer_role: role,
    direction_source: isClient ? "connect" : "listen",
    client_address: "127.0.0.1",
    server_address: "127.0.0.1",
    server_port: Number(server_port),
    process_pid: own[0]!.pid,
    bytes_sent: sum(isClient ? "tx_bytes" : "rx_bytes"),
    bytes_received: sum(isClient ? "rx_bytes" : "tx_bytes"),
    datagrams_sent: sum(isClient ? "tx_datagrams" : "rx_datagrams"),
    datagrams_received: sum(isClient ? "rx_datagrams" : "tx_datagrams"),
    amounts_unknown: 0,
  };
}

testWith(missing, "UDP: the lake has a DNS server's and its clients' rows with the service port and what both counted", async () => {
  const dataDirectory = await Deno.makeTempDir(), problems: string[] = [];
  const chain = await Chain.start({ dataDirectory, windowS: 2, agentArguments: [], onProblem: (line) => problems.push(line) });
  let talks: readonly UdpTalk[] = [];
  try {
    talks = await runActor("dns");
  } finally {
    await chain.stop();
  }
  assert.deepEqual(problems, []);
  const sql = `select network_transport, observer_role, direction_source, client_address,
    server_address, server_port, process_pid,
    sum(bytes_sent)::bigint as bytes_sent, sum(bytes_received)::bigint as bytes_received,
    sum(segments_sent)::bigint as datagrams_sent, sum(segments_received)::bigint as datagrams_received,
    sum(amounts_unknown)::bigint as amounts_unknown
    from flow where process_pid in (${[...new Set(talks.map(({ pid }) => pid))].join()}) group by all order by observer_role`;
  const { success, stdout, stderr } = await runJob(["sql", sql, "--lake", lakePath({ dataDirectory }), "--format", "json"]);
  assert.ok(success, stderr);
  assert.deepEqual(JSON.parse(stdout), [rowOf(talks, "client"), rowOf(talks, "server")]);
});
