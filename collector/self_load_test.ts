/** The load test's datagrams are what it says that they are. */

import assert from "node:assert/strict";
import { DATAGRAM_BYTES_MAX } from "../lib/sflow/datagram.ts";
import { makeLoadDatagrams } from "../lib/sflow/load_datagrams.ts";
import { testReceiver } from "./testdata/receiver.ts";

Deno.test("makeLoadDatagrams() makes as many flows of as many conversations and processes as it is told, none refused or lost", () => {
  const { table, receive, receiver, identities } = testReceiver(2_048);
  const datagrams = makeLoadDatagrams({ flows: 5_000, conversations: 1_000, processes: 1 }, 1_700_000_000_000_000);
  assert.ok(datagrams.every(({ length }) => length <= DATAGRAM_BYTES_MAX));
  receive(...datagrams);
  const { counts, streams } = receiver;
  assert.deepEqual([counts.datagrams_malformed, counts.flow_records_refused, counts.flow_records_unknown_process], [0, 0, 0]);
  assert.deepEqual([table.eventCount, table.rowCount, streams.counts().lost, streams.counts().missingRecords], [5_000, 1_000, 0, 0]);
  assert.equal(identities.get(1).serviceName, "service-0");
});
