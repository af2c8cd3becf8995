/** The benches' generator: its rows are the same by way of a topic and straight into a lake, and its answers are theirs. */

import assert from "node:assert/strict";
import { expectedEdges, expectedTotals, type FlowShape, rowsOf } from "../bench/flow_generator.ts";
import { writeFlowLake } from "../bench/flow_lake.ts";
import { flowMessages } from "../bench/flow_messages.ts";
import { analyse, ANALYSES } from "../jobs/analytics.ts";
import { runEtl } from "../jobs/etl.ts";
import { withLake } from "../jobs/query.ts";
import { ask } from "../jobs/testdata/topic.ts";
import { openProducer } from "../lib/topic/open.ts";

/** More than a message in a minute, and the last one of each shorter. */
const SHAPE: FlowShape = { rows: 15_000, minutes: 3, seed: 5 };

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function lakeOfTopic(folder: string, partitions: number): Promise<string> {
  const topic = `sqlite:${folder}/topic.db`, lake = `${folder}/lake`;
  {
    await using producer = await openProducer(`${topic}?partitions=${partitions}`);
    for (const record of flowMessages(SHAPE, partitions)) await producer.publish([record]);
  }
  await runEtl(topic, lake);
  return lake;
}

Deno.test("a generated lake has, row by row, what the generated topic gives", async () => {
  await withFolder(async (folder) => {
    const lakes = [await lakeOfTopic(folder, 1), `${folder}/straight`];
    await writeFlowLake(SHAPE, lakes[1]!);
    const rows = await Promise.all(
      lakes.map((lake) =>
        ask(
          lake,
          "select * exclude (src_topic, ingest_time), hex(client_ip) as c, hex(server_ip) as s from flow order by src_offset, src_index",
        )
      ),
    );
    assert.equal(rows[0]!.length, rowsOf(SHAPE));
    assert.deepEqual(rows[1], rows[0]);
  });
});

Deno.test("the generator's answers are what the dependency graph of its rows says, from several partitions", async () => {
  await withFolder(async (folder) => {
    const lake = await lakeOfTopic(folder, 3), graph = ANALYSES.find(({ name }) => name === "dependency-graph")!;
    const answer = await withLake(lake, (database) => analyse(database, graph));
    const key = (edge: { readonly client: string; readonly server: string }) => `${edge.client} ${edge.server}`;
    const found = new Map(
      answer.rows.map((row) => [key({ client: String(row["client_service"]), server: String(row["server_service"]) }), row]),
    );
    const expected = expectedEdges(SHAPE);
    assert.equal(found.size, expected.length);
    for (const edge of expected) {
      const row = found.get(key({ client: edge.clientService, server: edge.serverService }))!;
      const numbers = ["server_port", "connections", "failed_connections", "tx_bytes", "rx_bytes", "retransmits", "srtt_us"].map((name) =>
        Number(row[name])
      );
      const { serverPort, connections, failedConnections, txBytes, rxBytes, retransmits, srttUsSum, srttSamples } = edge;
      assert.deepEqual(numbers, [
        serverPort,
        connections,
        failedConnections,
        txBytes,
        rxBytes,
        retransmits,
        Math.round(srttUsSum / srttSamples),
      ]);
    }
    const totals = expectedTotals(SHAPE);
    const [sums] = await ask(
      lake,
      "select count(*) as rows, sum(bytes_sent)::bigint as sent, sum(bytes_received)::bigint as received, sum(connections_opened)::bigint as opened from flow",
    );
    assert.deepEqual(Object.values(sums!).map(Number), [totals.rows, totals.bytesSent, totals.bytesReceived, totals.connectionsOpened]);
  });
});
