/** The flush wheel, by a clock of the test's own. */

import assert from "node:assert/strict";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { VALUE } from "./aggregate.ts";
import { FlowFlusher } from "./flush.ts";
import type { RowMessage } from "./rows.ts";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "./testdata/datagram.ts";
import { testReceiver } from "./testdata/receiver.ts";

const MINUTE_S = 60;
/** A minute that is still to come. */
const MINUTE = Math.floor(Date.now() / 60_000) + 10;

/** A receiver, and a flusher with the messages that have left it. */
function testFlusher(rowsMax = 1_024, windowS = 60) {
  const test = testReceiver(rowsMax, windowS), messages: RowMessage[] = [];
  const flusher = new FlowFlusher(test.table, test.identities, windowS, 1, {
    isBlocked: () => false,
    format: "arrow",
    takeLosses: () => [],
    onMessages: (some) => messages.push(...some),
  });
  return { ...test, flusher, messages };
}

/** A flow of every second, from one second to before another of the minute, each a second long. */
function rehearse(windowS: number) {
  const { table, receive, flusher, messages } = testFlusher(4_096, windowS);
  let sequence = 0;
  const add = (fromS: number, toS: number, port = 443) => {
    const flow = skyfallRecord("skyfall_flow", {
      ...FLOW,
      remote_port: port,
      period_start_unix_us: (MINUTE * MINUTE_S + fromS) * 1e6,
      period_end_unix_us: (MINUTE * MINUTE_S + toS) * 1e6,
    });
    receive(datagram([flowSample([HOST, PROCESS, flow])], { sequence: ++sequence }));
  };
  const rows = () => [...table.rows()];
  return { table, flusher, messages, add, rows };
}

Deno.test("FlowTable keeps minutes apart, and a period of several from those of one", () => {
  const { table, add, rows } = rehearse(60);
  add(0, 1);
  add(50, 60.2); // a report of many sockets takes a while
  add(59.9, 60.9);
  add(60, 70);
  add(30, 90);
  add(30, 150);
  const minutes = rows().map((row) => [table.minute(row) - MINUTE, table.value(row, VALUE.event_count)]);
  assert.deepEqual(minutes, [[0, 3], [1, 1], [0, 1], [0, 1]]);
});

Deno.test("FlowFlusher gives a row a minute, once what agents send late is there, spread over the next minute", () => {
  const { flusher, messages, add } = rehearse(60);
  const left: number[] = [];
  for (let second = 0; second < 180; second++) {
    if (second < 60) { for (let port = 1; port <= 200; port++) add(second, second + 1, port); }
    if (second === 67) { for (let port = 1; port <= 200; port++) add(59, 60, port); }
    flusher.flushDue((MINUTE * MINUTE_S + second) * 1_000 + 1);
    for (const { rows } of messages.splice(0)) left.push(...Array<number>(rows).fill(second));
  }
  assert.equal(left.length, 200);
  assert.deepEqual([Math.min(...left) >= 68, Math.max(...left) <= 120], [true, true], `${Math.min(...left)} to ${Math.max(...left)}`);
  const busiest = Math.max(...Map.groupBy(left, (second) => second).values().map(({ length }) => length));
  assert.ok(busiest <= 20, `${busiest} of 200 rows in one second`);
});

Deno.test("FlowFlusher lets rows of other clocks' minutes go in their second, and waits for none of them", () => {
  const { flusher, messages, add } = rehearse(60);
  add(-600, -599);
  add(600, 601);
  let passes = 0;
  for (let second = 0; second < 60; second++) {
    flusher.flushDue((MINUTE * MINUTE_S + second) * 1_000 + 1);
    passes += messages.splice(0).reduce((sum, { rows }) => sum + rows, 0);
  }
  assert.equal(passes, 2);
});

Deno.test("FlowFlusher with windows under a minute lets every row go in its second", () => {
  const { flusher, messages, add } = rehearse(2);
  flusher.flushDue((MINUTE * MINUTE_S - 1) * 1_000);
  add(0, 1);
  for (let second = 0; second < 2; second++) flusher.flushDue((MINUTE * MINUTE_S + second) * 1_000);
  assert.equal(messages.length, 1);
});

Deno.test("FlowFlusher.forgetIdentities() keeps what rows need, and rows, hosts and processes stay who they were", () => {
  const { table, identities, receive, flusher } = testFlusher();
  let sequence = 0;
  const process = (pid: number) =>
    skyfallRecord("skyfall_process", { index: 1, pid, service_name: `service-${pid}`, executable_name: "x" });
  const send = (pid: number, port: number) => {
    const agent = Uint8Array.of(10, 0, 0, pid);
    const flow = skyfallRecord("skyfall_flow", { ...FLOW, remote_port: port });
    receive(datagram([flowSample([HOST, process(pid), flow])], { agent, sequence: ++sequence }));
  };
  for (let pid = 1; pid <= 100; pid++) send(pid, 1_000);
  for (const row of table.rows()) if (!identities.get(table.value(row, VALUE.identity)).serviceName!.endsWith("7")) table.remove(row);
  flusher.forgetIdentities();
  const left = () => [...table.rows()].map((row) => identities.get(table.value(row, VALUE.identity)));
  assert.deepEqual(left().map(({ serviceName }) => serviceName), [7, 17, 27, 37, 47, 57, 67, 77, 87, 97].map((pid) => `service-${pid}`));
  assert.deepEqual(left().map(({ host }) => host.address), [7, 17, 27, 37, 47, 57, 67, 77, 87, 97].map((pid) => `10.0.0.${pid}`));
  assert.equal(identities.count, 20); // a host and a process each
  send(17, 1_000); // the same identity, so the same row
  send(18, 1_000); // forgotten, and known again
  assert.equal(table.rowCount, 11);
  assert.equal(identities.count, 22);
  assert.equal(left().filter(({ serviceName }) => serviceName === "service-18").length, 1);
});

Deno.test("FlowFlusher pairs the ends of a conversation, and counts those that disagree", () => {
  const { receive, flusher } = testFlusher();
  const ends = [{ port: 443, client: 1_000, server: 1_000 }, { port: 444, client: 9_000_000, server: 1_000 }, {
    port: 445,
    client: 5,
    server: null,
  }];
  for (const [i, { port, client, server }] of ends.entries()) {
    const views = [skyfallRecord("skyfall_flow", { ...FLOW, remote_port: port, tx_bytes: client })];
    if (server !== null) {
      const { local_address, remote_address, local_port } = FLOW;
      views.push(skyfallRecord("skyfall_flow", {
        ...FLOW,
        role: 2,
        local_address: remote_address!,
        remote_address: local_address!,
        local_port: port,
        remote_port: local_port!,
        tx_bytes: FLOW["rx_bytes"]!,
        rx_bytes: server,
      }));
    }
    receive(datagram([flowSample([HOST, PROCESS, ...views])], { sequence: i + 1 }));
  }
  flusher.flushAll();
  assert.deepEqual(flusher.pairs, {
    conversations_both: 2,
    conversations_client_only: 1,
    conversations_server_only: 0,
    bytes_disagreements: 1,
  });
});

Deno.test("a message says of each row who reported the conversation, what the other end saw, how it was folded and what came late", () => {
  const { table, receive, flusher, messages } = testFlusher();
  const { local_address, remote_address, local_port, remote_port } = FLOW;
  const server = {
    role: 2,
    local_address: remote_address!,
    remote_address: local_address!,
    local_port: remote_port!,
    remote_port: local_port!,
  };
  table.nowUs = Number(FLOW["period_end_unix_us"]) + 121e6;
  receive(datagram([flowSample([
    HOST,
    PROCESS,
    skyfallRecord("skyfall_flow", { ...FLOW, tx_bytes: 2 ** 33 + 7, rx_bytes: 5 }),
    skyfallRecord("skyfall_flow", { ...FLOW, ...server, tx_bytes: 6, rx_bytes: 2 ** 33 }),
    skyfallRecord("skyfall_flow", { ...FLOW, remote_port: 9 }),
  ])]));
  flusher.flushAll();
  const { columns } = decodeFlowBatch(messages[0]!.value);
  const rows = [0, 1, 2].map((i) => ({
    role: columns.observer_role.dictionary[columns.observer_role.codes[i]!],
    reporter: columns.reporter.dictionary[columns.reporter.codes[i]!],
    sent: columns.bytes_sent.values[i],
    peer: columns.peer_bytes_sent.valid?.[i] === 0 ? null : columns.peer_bytes_sent.values[i],
    peerReceived: columns.peer_bytes_received.valid?.[i] === 0 ? null : columns.peer_bytes_received.values[i],
    late: columns.late_count.values[i],
    fold: columns.fold_level.values[i],
  }));
  assert.deepEqual(rows, [
    { role: "client", reporter: "both", sent: 2n ** 33n + 7n, peer: 2n ** 33n, peerReceived: 6n, late: 1n, fold: 0 },
    { role: "server", reporter: "both", sent: 2n ** 33n, peer: 2n ** 33n + 7n, peerReceived: 5n, late: 1n, fold: 0 },
    { role: "client", reporter: "client", sent: 1_000n, peer: null, peerReceived: null, late: 1n, fold: 0 },
  ]);
});
