/** Minutes of a partition: when they close, what comes after, and that a partition made anew goes on as if it had never ended. */

import assert from "node:assert/strict";
import { decodeFlowBatch, type FlowBatch } from "../../lib/flow_batch.ts";
import { flowBatch, randomNumbers } from "../../lib/testdata/flow_batch.ts";
import { conversationMessage } from "../testdata/conversations.ts";
import { edgeBatches } from "./edge_rows.ts";
import { firstState, Partition, type PartitionState, type Told } from "./partition.ts";

const LATENESS = 2;
/** Minutes since 1970 of the rows' time, and of our clock. */
const MINUTE = 30_000_000, NOW = MINUTE + 1_000;

/** A row a minute: one end's view of the same conversation. */
function rows(seenBy: "client" | "server", bytes: number, ...minutes: readonly number[]): FlowBatch {
  const rowCount = minutes.length, batch = flowBatch(rowCount, 1);
  const text = (value: string) => ({ codes: new Int32Array(rowCount), dictionary: [value] });
  const address = (last: number) => ({
    bytes: Uint8Array.from(minutes.flatMap(() => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, last])),
  });
  const columns = {
    ...batch.columns,
    window_start: { values: BigInt64Array.from(minutes, (minute) => BigInt(minute) * 60_000_000n) },
    observer_role: text(seenBy),
    flow_source: text("skyfall"),
    network_transport: text("tcp"),
    client_ip: address(1),
    server_ip: address(2),
    server_port: { values: new Int32Array(rowCount).fill(443) },
    client_service_name: text(seenBy === "client" ? "shop" : ""),
    server_service_name: text(seenBy === "server" ? "web" : ""),
    bytes_sent: { values: BigInt64Array.from(minutes, () => BigInt(bytes)) },
  };
  return { rowCount, columns };
}

interface Edge {
  readonly minute: number;
  readonly revision: bigint;
  readonly client: string;
  readonly server: string;
  readonly bytes: bigint;
}

function edgesOf(told: readonly Told[]): Edge[] {
  return edgeBatches(told, "topic", 0).flatMap(({ rowCount, columns }) =>
    Array.from({ length: rowCount }, (_, i) => {
      const text = (name: "client_service_name" | "client_address" | "server_service_name" | "server_address") =>
        columns[name].dictionary[columns[name].codes[i]!]!;
      return {
        minute: Number(columns.window_start.values[i]! / 60_000_000n) - MINUTE,
        revision: columns.revision.values[i]!,
        client: text("client_service_name") + text("client_address"),
        server: text("server_service_name") + text("server_address"),
        bytes: columns.bytes_sent.values[i]!,
      };
    })
  );
}

Deno.test("a minute closes when most rows of a message are of its lateness after it", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  assert.deepEqual(partition.take(0n, rows("client", 10, MINUTE), NOW), []);
  assert.deepEqual(partition.take(1n, rows("client", 1, MINUTE + 2, MINUTE + 2, MINUTE + 9), NOW), []);
  const told = partition.take(2n, rows("client", 1, MINUTE + 1, MINUTE + 3, MINUTE + 3), NOW);
  assert.deepEqual(edgesOf(told), [{ minute: 0, revision: 0n, client: "shop", server: "10.0.0.2", bytes: 10n }]);
  assert.deepEqual([told[0]!.offsetFrom, told[0]!.offsetTo], [0n, 3n]);
});

Deno.test("the other end that comes late within what is held is set against the first, not added", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  partition.take(0n, rows("client", 100, MINUTE), NOW);
  partition.take(1n, rows("client", 1, MINUTE + 3), NOW);
  partition.take(2n, rows("server", 130, MINUTE), NOW);
  const told = edgesOf(partition.take(3n, rows("client", 1, MINUTE + 4), NOW)).filter(({ minute }) => minute === 0);
  // The server's report names it: the edge to its address ends, and one to its name begins.
  assert.deepEqual(told, [
    { minute: 0, revision: 4n, client: "shop", server: "web", bytes: 130n },
    { minute: 0, revision: 4n, client: "shop", server: "10.0.0.2", bytes: -100n },
  ]);
});

Deno.test("rows that come later still are told by themselves", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  partition.take(0n, rows("client", 100, MINUTE), NOW);
  partition.take(1n, rows("client", 1, MINUTE + 20), NOW);
  partition.take(2n, rows("server", 130, MINUTE), NOW);
  const told = partition.take(3n, rows("client", 1, MINUTE + 21), NOW);
  assert.deepEqual(edgesOf(told), [{ minute: 0, revision: 4n, client: "10.0.0.1", server: "web", bytes: 130n }]);
  assert.equal(told[0]!.offsetFrom, 2n);
});

Deno.test("late rows are told also where no minute closes any more", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  partition.take(0n, rows("client", 1, MINUTE + 20), NOW);
  const told: Told[] = [];
  for (let offset = 1n; offset <= 256n; offset++) told.push(...partition.take(offset, rows("client", 1, MINUTE), NOW));
  assert.deepEqual(edgesOf(told).map(({ minute, bytes }) => [minute, bytes]), [[0, 256n]]);
});

Deno.test("a message from the future closes nothing", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  partition.take(0n, rows("client", 1, MINUTE), MINUTE);
  assert.deepEqual(partition.take(1n, rows("client", 1, MINUTE + 6), MINUTE), []);
  assert.equal(partition.take(2n, rows("client", 1, MINUTE + 5), MINUTE).length, 1);
});

Deno.test("closeIdle() closes what a message of now would, once", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  partition.take(0n, rows("client", 7, MINUTE, MINUTE + 1), NOW);
  assert.deepEqual(partition.closeIdle(MINUTE + 2), []);
  assert.deepEqual(edgesOf(partition.closeIdle(MINUTE + 3)).map(({ minute, revision }) => [minute, revision]), [[0, 0n]]);
  assert.deepEqual(partition.closeIdle(MINUTE + 3), []);
  assert.deepEqual(partition.state, { offset: 1n, readFrom: 0n, closedBefore: MINUTE + 1 });
});

Deno.test("letGo() tells open minutes too, and what follows stands by itself", () => {
  const partition = new Partition(LATENESS, firstState(0n));
  partition.take(0n, rows("client", 7, MINUTE), NOW);
  assert.deepEqual(edgesOf(partition.letGo()).map(({ revision, bytes }) => [revision, bytes]), [[1n, 7n]]);
  assert.deepEqual([partition.state.readFrom, partition.viewCount], [1n, 0]);
  partition.take(1n, rows("client", 5, MINUTE), NOW);
  const told = partition.take(2n, rows("client", 1, MINUTE + 3), NOW);
  assert.deepEqual(edgesOf(told).map(({ revision, bytes }) => [revision, bytes]), [[0n, 5n]]);
});

/** All that is told of messages from a state on, and the states after each. */
function run(state: PartitionState, messages: readonly (FlowBatch | null)[]): { told: Told[]; states: PartitionState[] } {
  const partition = new Partition(LATENESS, state), told: Told[] = [], states: PartitionState[] = [];
  for (let offset = Number(state.readFrom); offset < messages.length; offset++) {
    told.push(...partition.take(BigInt(offset), messages[offset]!, NOW));
    states.push(partition.state);
  }
  return { told, states };
}

/** As it may be told in any order of edges. */
function sorted(told: readonly Told[]): string[] {
  const texts = edgeBatches(told, "topic", 0).flatMap(({ rowCount, columns }) =>
    Array.from({ length: rowCount }, (_, i) =>
      JSON.stringify(
        Object.values(columns).map((column) => {
          if ("codes" in column) return column.dictionary[column.codes[i]!];
          if ("offsets" in column) return [...column.values.subarray(column.offsets[i]!, column.offsets[i + 1]!)].map(String);
          return column.valid?.[i] === 0 ? null : String(column.values[i]);
        }),
      ))
  );
  return texts.sort();
}

Deno.test("a partition made anew of any state that was committed tells what the first one went on to tell", () => {
  const random = randomNumbers(5);
  const messages = Array.from({ length: 75 }, (_, i) => {
    return random(20) === 0 ? null : decodeFlowBatch(conversationMessage(30, i, Math.floor(i / 3)));
  });
  const { told, states } = run(firstState(0n), messages);
  const distinct = states.filter((state, i) => state !== states[i - 1]);
  assert.ok(distinct.length > 20);
  for (const state of distinct) {
    assert.deepEqual(sorted(run(state, messages).told), sorted(told.filter(({ offsetTo }) => offsetTo > state.offset)));
  }
});
