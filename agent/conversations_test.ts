/** Conversations: every delta leaves once, with its role, its owner and its end. */

import assert from "node:assert/strict";
import { Conversations, endReason } from "./conversations.ts";
import { ATTRIBUTION, EVENT_KIND, FIRST_FIN, type ProcessEvent, type TcpEvent } from "./event.ts";
import { ATTRIBUTION_SOURCE, END_REASON, type Flow, ROLE, ROLE_SOURCE } from "./flow.ts";
import { ListenerTable } from "./listeners.ts";
import { ProcessTable } from "./processes.ts";

/** A pid that no process of this machine has. */
const PID = 0x7fff_0001;
const ADDRESS = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1);

function event(values: Partial<TcpEvent> = {}): TcpEvent {
  return {
    period_start_ktime_ns: 1_000_000,
    ktime_ns: 5_000_000,
    socket_cookie: 1,
    bytes_sent: 0,
    bytes_received: 0,
    bytes_retrans: 0,
    process_start_ns: 1,
    cgroup_id: 1,
    local_address: ADDRESS,
    remote_address: ADDRESS,
    pid: PID,
    exec_id: 1,
    user_id: 0,
    network_namespace: 1,
    segs_out: 0,
    segs_in: 0,
    total_retrans: 0,
    lost: 0,
    srtt_us: 0,
    rttvar_us: 0,
    min_rtt_us: 0,
    snd_cwnd: 10,
    reord_seen: 0,
    busy_ticks: 0,
    rwnd_limited_ticks: 0,
    sndbuf_limited_ticks: 0,
    connect_us: 250,
    socket_error: 0,
    local_port: 40_000,
    remote_port: 80,
    kind: EVENT_KIND.EVENT_SOCKET_ENDED,
    state: 5,
    active_open: true,
    attribution: ATTRIBUTION.ATTRIBUTION_CONNECT,
    seen_from_start: true,
    first_fin: FIRST_FIN.FIRST_FIN_LOCAL,
    opened: true,
    ...values,
  };
}

const PROCESS: ProcessEvent = {
  pid: PID,
  process_start_ns: 1,
  exec_id: 1,
  cgroup_id: 1,
  user_id: 0,
  network_namespace: 1,
  comm: "curl",
  executable_name: "curl",
  command_line: "curl http://localhost",
};

function make(): {
  readonly conversations: Conversations;
  readonly flows: Flow[];
  readonly listeners: ListenerTable;
  readonly processes: ProcessTable;
} {
  const processes = new ProcessTable([]), listeners = new ListenerTable(), flows: Flow[] = [];
  processes.add(PROCESS);
  return {
    conversations: new Conversations(processes, listeners, () => 1_000_000_000, (flow) => flows.push(flow)),
    flows,
    listeners,
    processes,
  };
}

Deno.test("Conversations reports a short connection whole, once", () => {
  const { conversations, flows } = make();
  conversations.end(event({ bytes_sent: 100, bytes_received: 50, segs_out: 4, segs_in: 3 }), 0);
  assert.equal(flows.length, 1);
  const { tx_bytes, rx_bytes, tx_segments, opened_count, end_reason, role, connect_us, period_start_unix_us, period_end_unix_us, process } =
    flows[0]!;
  assert.deepEqual({ tx_bytes, rx_bytes, tx_segments, opened_count, end_reason, role, connect_us }, {
    tx_bytes: 100,
    rx_bytes: 50,
    tx_segments: 4,
    opened_count: 1,
    end_reason: END_REASON.closed_local,
    role: ROLE.client,
    connect_us: 250,
  });
  assert.deepEqual([period_start_unix_us, period_end_unix_us], [1_001_000, 1_005_000]);
  assert.equal(process?.service_name, "curl");
});

Deno.test("Conversations reports an open socket with the state it is in, and no end", () => {
  const { conversations, flows } = make();
  conversations.reportOpen(event({ bytes_sent: 10, state: 1, opened: false, connect_us: 0 }));
  const { tx_bytes, opened_count, connect_us, end_reason, state } = flows[0]!;
  assert.deepEqual({ tx_bytes, opened_count, connect_us, end_reason, state }, {
    tx_bytes: 10,
    opened_count: 0,
    connect_us: 0,
    end_reason: END_REASON.open,
    state: 1,
  });
});

Deno.test("Conversations holds an end without an owner until the owner shows up", () => {
  const { conversations, flows } = make();
  conversations.end(event({ pid: 0, attribution: ATTRIBUTION.ATTRIBUTION_UNKNOWN, active_open: false }), 0);
  assert.equal(flows.length, 0);
  conversations.own(event({ attribution: ATTRIBUTION.ATTRIBUTION_RELEASE, local_port: 0 }));
  assert.deepEqual([flows[0]!.attribution_source, flows[0]!.process?.pid, flows[0]!.local_port], [ATTRIBUTION_SOURCE.release, PID, 40_000]);
});

Deno.test("Conversations names the listener, and says so, when no owner shows up", () => {
  const { conversations, flows, listeners, processes } = make();
  listeners.add(event({ socket_cookie: 9, local_port: 80 }), processes.find(event()), 0);
  const accepted = { pid: 0, attribution: ATTRIBUTION.ATTRIBUTION_UNKNOWN, active_open: false, local_port: 80 };
  conversations.end(event(accepted), 0);
  conversations.expire(1_999);
  assert.equal(flows.length, 0);
  conversations.expire(2_000);
  assert.deepEqual([flows[0]!.attribution_source, flows[0]!.process?.pid], [ATTRIBUTION_SOURCE.listener, PID]);
});

Deno.test("Conversations says unknown, and counts it, where nobody listens either", () => {
  const { conversations, flows } = make();
  conversations.end(event({ pid: 0, active_open: false }), 0);
  conversations.expire(Infinity);
  assert.deepEqual([flows[0]!.attribution_source, flows[0]!.process], [ATTRIBUTION_SOURCE.unknown, null]);
  assert.equal(conversations.unattributedCount, 1);
});

Deno.test("Conversations says where the owner of an open socket was taken from", () => {
  const { conversations, flows } = make();
  conversations.reportOpen(event({ attribution: ATTRIBUTION.ATTRIBUTION_TASK_FILE, active_open: false, state: 1 }));
  assert.deepEqual([flows[0]!.attribution_source, flows[0]!.process?.pid], [ATTRIBUTION_SOURCE.task_file, PID]);
});

Deno.test("Conversations decides the role: connect, accept, who listens, then the lower port", () => {
  const old = { seen_from_start: false, active_open: false };
  const roleOf = (values: Partial<TcpEvent>, listening?: number) => {
    const { conversations, flows, listeners } = make();
    if (listening !== undefined) listeners.add(event({ socket_cookie: 9, local_port: listening }), null, 0);
    conversations.end(event(values), 0);
    conversations.expire(Infinity);
    return [flows[0]!.role, flows[0]!.role_source];
  };
  assert.deepEqual(roleOf({}), [ROLE.client, ROLE_SOURCE.connect]);
  assert.deepEqual(roleOf({ active_open: false }), [ROLE.server, ROLE_SOURCE.accept]);
  assert.deepEqual(roleOf({ ...old, local_port: 50_000, remote_port: 40_000 }, 50_000), [ROLE.server, ROLE_SOURCE.listen]);
  assert.deepEqual(roleOf({ ...old, local_port: 40_000, remote_port: 50_000 }, 50_000), [ROLE.client, ROLE_SOURCE.listen]);
  assert.deepEqual(roleOf({ ...old, local_port: 40_000, remote_port: 80 }), [ROLE.client, ROLE_SOURCE.heuristic]);
});

Deno.test("endReason() tells the ways to end apart", () => {
  const { FIRST_FIN_NONE: none, FIRST_FIN_LOCAL: local, FIRST_FIN_REMOTE: remote } = FIRST_FIN;
  const cases: readonly [number, number, number, number][] = [
    [2, 111, none, END_REASON.refused],
    [2, 110, none, END_REASON.connect_timeout],
    [2, 113, none, END_REASON.unreachable],
    [2, 101, none, END_REASON.unreachable],
    [2, 0, none, END_REASON.connect_aborted],
    [2, 71, none, END_REASON.connect_failed],
    [1, 104, none, END_REASON.reset_remote],
    [4, 104, local, END_REASON.reset_remote],
    [8, 32, remote, END_REASON.reset_remote],
    [1, 0, none, END_REASON.reset_local],
    [8, 0, remote, END_REASON.reset_local],
    [1, 110, none, END_REASON.timeout],
    [9, 0, remote, END_REASON.closed_remote],
    [5, 0, local, END_REASON.closed_local],
  ];
  for (const [state, socket_error, first_fin, reason] of cases) {
    assert.equal(endReason({ state, socket_error, first_fin }), reason, `state ${state} error ${socket_error} first FIN ${first_fin}`);
  }
});
