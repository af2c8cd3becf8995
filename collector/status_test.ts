/** Health and ledger of a running collector, as its main thread sees them. */

import assert from "node:assert/strict";
import { Admission } from "./admission.ts";
import { NO_PAIRS } from "./pair_ends.ts";
import { Publisher, type TopicAccess } from "./publish.ts";
import { QuestionReader } from "./question_board.ts";
import { CollectorStatus } from "./status.ts";
import { emptyCounts } from "./stream_counts.ts";
import { testReceiver } from "./testdata/receiver.ts";
import { SHARED_BYTES, type WorkerReport } from "./worker_protocol.ts";

/** What a worker reports that received so many flow records and has so many of them in its table. */
function report(received: number, tableEvents: number): WorkerReport {
  return {
    counts: { ...testReceiver().receiver.counts, flow_records_received: received },
    refusals: new Admission({ allowed: [], sourceLimit: 1, keys: [], enterprise: 1 }).counts,
    streams: emptyCounts(),
    socketDroppedDatagrams: 0,
    evictedStreams: 0,
    table: testReceiver().table.counts,
    pairs: NO_PAIRS,
    earlyRows: 0,
    leavesSent: 0,
    identityRounds: 0,
    tableRows: tableEvents,
    tableRowsMax: 1_024,
    tableEvents,
  };
}

/** A topic that acknowledges nothing. */
const SILENT_TOPIC: TopicAccess = {
  partitionCount: 1,
  producer: () => new Promise(() => {}),
  consumer: () => new Promise(() => {}),
};

function newStatus() {
  const publisher = new Publisher(SILENT_TOPIC, null, () => {}), shared = new SharedArrayBuffer(SHARED_BYTES);
  return { publisher, shared, status: new CollectorStatus(2, publisher, null, shared, 0) };
}

const message = (events: number) => ({ partition: 0, value: new Uint8Array(10), rows: 1, events });

Deno.test("faults() names a worker that is silent for more than 5 s", () => {
  const { status } = newStatus();
  for (const worker of [0, 1]) status.onReport(worker, report(0, 0), 1_000);
  status.onReport(0, report(0, 0), 6_500);
  assert.deepEqual([status.faults(6_000), status.faults(6_500)], [[], ["worker 1 has been silent for 6 s"]]);
});

Deno.test("faults() names a topic that takes nothing for more than 30 s while something waits", () => {
  const { status, publisher } = newStatus();
  const both = (nowMs: number) => [0, 1].forEach((worker) => status.onReport(worker, report(7, 0), nowMs));
  both(1_000);
  status.onMessages(0, [message(7)]);
  publisher.add([message(7)]);
  both(31_000);
  assert.deepEqual(status.faults(31_000), []);
  both(32_000);
  assert.deepEqual(status.faults(32_000), ["the topic has taken nothing for 31 s, while 7 events wait"]);
});

Deno.test("ledger() balances between a worker's report and the next, and not if a record is missing", () => {
  const { status, publisher } = newStatus();
  status.onReport(1, report(0, 0), 0);
  status.onReport(0, report(10, 10), 0);
  assert.deepEqual([status.ledger().balance, status.ledger().events_in_tables], [0, 10]);
  status.onMessages(0, [message(4)]); // the worker has not told yet that they left its table
  publisher.add([message(4)]);
  assert.deepEqual([status.ledger().balance, status.ledger().events_unpublished], [0, 4]);
  status.onReport(0, report(13, 9), 0);
  assert.equal(status.ledger().balance, 0);
  status.onReport(0, report(14, 9), 0);
  assert.equal(status.ledger().balance, 1);
});

Deno.test("ask() gets every worker's answer to its own question, and one question after the other", async () => {
  const { status, shared } = newStatus();
  const readers = [new QuestionReader(shared), new QuestionReader(shared)];
  const first = status.ask({ kind: "agents" }), second = status.ask({ kind: "explain", client: "a", server: "b", serverPort: 1 });
  const kinds: string[] = [];
  for (const asked of [first, second]) {
    await Promise.resolve();
    for (const [worker, reader] of readers.entries()) {
      const next = reader.next()!;
      kinds.push(next.question.kind);
      assert.equal(reader.next(), null);
      status.onAnswer(worker, next.questionNumber - 2, { agents: [], streams: [], rows: [], lastLeftMs: null }); // to a question that is over
      status.onAnswer(worker, next.questionNumber, { agents: [], streams: [], rows: [], lastLeftMs: null });
    }
    assert.deepEqual([...(await asked).keys()], [0, 1]);
  }
  assert.deepEqual(kinds, ["agents", "agents", "explain", "explain"]);
});
