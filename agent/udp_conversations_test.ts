/** UDP flows: which end a socket is, whose it is, and which address it speaks from. */

import assert from "node:assert/strict";
import { parseAddress } from "../lib/ip_address.ts";
import { AMOUNTS_KNOWN, ATTRIBUTION_SOURCE, type Flow, ROLE, ROLE_SOURCE, TRANSPORT_UDP } from "./flow.ts";
import { ownNetworkNamespace, OwnTraffic } from "./own_traffic.ts";
import { ProcessTable } from "./processes.ts";
import { UdpConversations } from "./udp_conversations.ts";
import type { UdpRecord, UdpSocket } from "./udp_record.ts";

/** A pid that no process of this machine has. */
const PID = 0x7fff_0001;
const NETWORK_NAMESPACE = ownNetworkNamespace();
const HERE = parseAddress("10.0.0.1"), THERE = parseAddress("10.0.0.2"), LOOPBACK = parseAddress("127.0.0.1");
const ANY = parseAddress("0.0.0.0"), UNKNOWN = new Uint8Array(16);
const COLLECTOR_PORT = 6_343, OWN_PORT = 33_333, OWN_COOKIE = 99;

function record(values: Partial<UdpRecord> = {}): UdpRecord {
  return {
    socket_cookie: 1,
    pid: PID,
    process_start_ns: 1,
    exec_id: 1,
    cgroup_id: 1,
    user_id: 0,
    network_namespace: NETWORK_NAMESPACE,
    first_ktime_ns: 5_000_000,
    last_ktime_ns: 9_000_000,
    tx_bytes: 10,
    rx_bytes: 20,
    tx_datagrams: 1,
    rx_datagrams: 2,
    local_address: HERE,
    remote_address: THERE,
    local_port: 40_000,
    remote_port: 53,
    connected: false,
    sent_first: true,
    port_bound: false,
    bound: false,
    amounts_known: true,
    ...values,
  };
}

function socket(values: Partial<UdpSocket> = {}): UdpSocket {
  return {
    socket_cookie: 2,
    local_address: HERE,
    remote_address: ANY,
    network_namespace: NETWORK_NAMESPACE,
    local_port: 53,
    remote_port: 0,
    port_bound: true,
    ...values,
  };
}

function make(): { readonly udp: UdpConversations; readonly flows: Flow[] } {
  const processes = new ProcessTable([]), flows: Flow[] = [];
  processes.add({
    pid: PID,
    process_start_ns: 1,
    exec_id: 1,
    cgroup_id: 1,
    user_id: 0,
    network_namespace: 1,
    comm: "named",
    executable_name: "named",
    command_line: "named",
    cgroup_path: "",
  });
  const own = new OwnTraffic(() => [{
    socket: { cookie: OWN_COOKIE, localAddress: LOOPBACK, localPort: OWN_PORT },
    collector: { address: LOOPBACK, port: COLLECTOR_PORT },
  }]);
  return { udp: new UdpConversations(processes, () => 1_000_000_000, (flow) => flows.push(flow), own), flows };
}

/** Role and evidence of the last of several records. */
function roleOf(records: readonly UdpRecord[], sockets: readonly UdpSocket[] = [], older: readonly UdpSocket[] = []): number[] {
  const { udp, flows } = make();
  udp.seed(older);
  for (const one of records) udp.report([one], sockets);
  const { role, role_source } = flows.at(-1)!;
  return [role, role_source];
}

const CLIENT = [ROLE.client, ROLE_SOURCE.connect], SERVER = [ROLE.server, ROLE_SOURCE.listen];

Deno.test("UdpConversations reports amounts, period and owner as they were counted", () => {
  const { udp, flows } = make();
  udp.report([record()], []);
  const { transport_protocol, tx_bytes, rx_bytes, tx_segments, rx_segments, period_start_unix_us, period_end_unix_us } = flows[0]!;
  assert.deepEqual([transport_protocol, tx_bytes, rx_bytes, tx_segments, rx_segments], [TRANSPORT_UDP, 10, 20, 1, 2]);
  assert.deepEqual([period_start_unix_us, period_end_unix_us], [1_005_000, 1_009_000]);
  assert.equal(flows[0]!.process?.executable_name, "named");
  assert.deepEqual([flows[0]!.attribution_source, flows[0]!.amounts_known], [ATTRIBUTION_SOURCE.connect, AMOUNTS_KNOWN.both]);
});

Deno.test("UdpConversations takes who connects, or speaks first from a port that nobody asked for, as the client", () => {
  assert.deepEqual(roleOf([record({ connected: true, sent_first: false })]), CLIENT);
  assert.deepEqual(roleOf([record()]), CLIENT);
});

Deno.test("UdpConversations takes who is spoken to first as the server, and remembers it", () => {
  const server = record({ local_port: 53, remote_port: 40_000, sent_first: false });
  assert.deepEqual(roleOf([server]), SERVER);
  assert.deepEqual(roleOf([server, { ...server, sent_first: true }]), SERVER);
});

Deno.test("UdpConversations takes a connected socket on a port where another listens as the server's", () => {
  const served = record({ connected: true, port_bound: true, local_port: 53, remote_port: 40_000 });
  assert.deepEqual(roleOf([served], [socket()]), SERVER);
  assert.deepEqual(roleOf([served], [socket({ local_port: 54 })]), CLIENT);
});

Deno.test("UdpConversations does not take the first word of an older socket as evidence", () => {
  const older = [socket({ socket_cookie: 1 })];
  const server = record({ local_port: 53, remote_port: 40_000, port_bound: true, bound: true });
  assert.deepEqual(roleOf([server], older, older), SERVER);
  const client = record({ remote_port: 60_000, sent_first: false });
  const listening = socket({ local_address: ANY, local_port: 60_000 });
  assert.deepEqual(roleOf([client], [], [socket({ socket_cookie: 1, local_port: 40_000, port_bound: false }), listening]), [
    ROLE.client,
    ROLE_SOURCE.listen,
  ]);
});

Deno.test("UdpConversations guesses where both ends asked for their ports, and says so", () => {
  assert.deepEqual(roleOf([record({ local_port: 123, remote_port: 123, port_bound: true, bound: true })]), [
    ROLE.client,
    ROLE_SOURCE.heuristic,
  ]);
});

Deno.test("UdpConversations says of an unseen peer that it is unknown", () => {
  const unseen = record({ remote_address: UNKNOWN, remote_port: 0, sent_first: false });
  assert.deepEqual(roleOf([unseen]), [ROLE.unknown, ROLE_SOURCE.none]);
  assert.deepEqual(roleOf([{ ...unseen, port_bound: true }]), SERVER);
  const { udp, flows } = make();
  udp.report([unseen], []);
  assert.deepEqual(flows[0]!.remote_address, ANY);
});

Deno.test("UdpConversations finds the address that a socket of every address speaks from", () => {
  const { udp, flows } = make();
  udp.report([
    record({ local_address: ANY, remote_address: LOOPBACK }),
    record({ local_address: UNKNOWN, remote_address: LOOPBACK }),
    record({ local_address: UNKNOWN, remote_address: LOOPBACK, network_namespace: NETWORK_NAMESPACE + 1 }),
    record({ local_address: UNKNOWN, remote_address: THERE, network_namespace: NETWORK_NAMESPACE + 1 }),
  ], []);
  assert.deepEqual(flows.map(({ local_address }) => local_address), [LOOPBACK, LOOPBACK, LOOPBACK, ANY]);
});

Deno.test("UdpConversations tells a server's peers by address where there are too many flows, and loses nothing", () => {
  const { udp, flows } = make();
  const many = Array.from({ length: 20_000 }, (_, i) => record({ local_port: 53, remote_port: 10_000 + i, sent_first: false }));
  const few = Array.from(
    { length: 3 },
    (_, i) => record({ local_port: 53, remote_port: 10_000 + i, sent_first: false, remote_address: HERE }),
  );
  const client = record({ socket_cookie: 5 });
  udp.report([...many, ...few, client], []);
  assert.deepEqual(flows.map(({ remote_port, rx_bytes, rx_segments }) => [remote_port, rx_bytes, rx_segments]), [
    [53, 20, 2],
    [0, 20 * 20_000, 2 * 20_000],
    [10_000, 20, 2],
    [10_001, 20, 2],
    [10_002, 20, 2],
  ]);
  assert.deepEqual(flows[1]!.remote_address, THERE);
});

Deno.test("UdpConversations leaves the agent's own datagrams out, at both ends", () => {
  const { udp, flows } = make();
  const collector = record({ local_address: LOOPBACK, local_port: COLLECTOR_PORT, remote_address: LOOPBACK, remote_port: OWN_PORT });
  udp.report([
    record({ socket_cookie: OWN_COOKIE }),
    collector,
    { ...collector, local_address: ANY, remote_address: UNKNOWN, remote_port: 0 },
    { ...collector, remote_port: OWN_PORT + 1 },
    { ...collector, local_address: HERE },
  ], []);
  assert.deepEqual(flows.map(({ remote_port, local_address }) => [remote_port, local_address]), [[OWN_PORT + 1, LOOPBACK], [
    OWN_PORT,
    HERE,
  ]]);
});
