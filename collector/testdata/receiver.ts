/** A receiver with its table, for tests. */

import { DEFAULT_ENTERPRISE } from "../../lib/sflow/datagram.ts";
import { FlowTable } from "../aggregate.ts";
import { IdentityTable } from "../identities.ts";
import { FlowReceiver } from "../receive.ts";

export interface TestReceiver {
  readonly table: FlowTable;
  readonly identities: IdentityTable;
  readonly receiver: FlowReceiver;
  /** Receives datagrams, each in a buffer of its own size, so that a read beyond it throws. */
  readonly receive: (...datagrams: Uint8Array[]) => void;
  /** How often the table was flushed because it was full. */
  readonly flushes: () => number;
}

export function testReceiver(rowsMax = 1_024, windowS = 60): TestReceiver {
  const table = new FlowTable(rowsMax, windowS, 1), identities = new IdentityTable();
  let flushes = 0;
  const receiver = new FlowReceiver(table, identities, DEFAULT_ENTERPRISE, () => {
    flushes++;
    for (const row of table.rows()) table.remove(row);
  });
  const receive = (...datagrams: Uint8Array[]) => {
    for (const datagram of datagrams) receiver.receive(new DataView(datagram.slice().buffer), 0, datagram.length, false);
  };
  return { table, identities, receiver, receive, flushes: () => flushes };
}
