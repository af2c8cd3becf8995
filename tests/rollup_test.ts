/** The table of edges answers as the flows do that it is made of. */

import assert from "node:assert/strict";
import { flowMessages } from "../bench/flow_messages.ts";
import { analyse, ANALYSES, prepareViews } from "../jobs/analytics.ts";
import { DEFAULT_LATENESS_MINUTES, runDependencies } from "../jobs/dependencies.ts";
import type { Database } from "../jobs/duckdb.ts";
import { runEtl } from "../jobs/etl.ts";
import { withLake } from "../jobs/query.ts";
import { EVERYTHING, type Question } from "../jobs/question.ts";
import { goldenDatabase, TESTDATA } from "../jobs/testdata/golden.ts";
import { newPlace } from "../jobs/testdata/topic.ts";
import { openProducer } from "../lib/topic/open.ts";

const MINUTE_MS = 60_000;

async function filledLake(): Promise<string> {
  const { topic, lake } = await newPlace(), url = topic.replace(/\?.*/, "");
  {
    await using producer = await openProducer(topic);
    for (const record of flowMessages({ rows: 12_000, minutes: 8, seed: 5 }, 2)) await producer.publish([record]);
  }
  await runEtl(url, lake);
  await runDependencies(url, lake, {
    partitions: null,
    group: null,
    follow: false,
    acceptedGaps: [],
    latenessMinutes: DEFAULT_LATENESS_MINUTES,
    outputTopic: null,
  });
  return lake;
}

async function assertSame(database: Database, question: Question): Promise<void> {
  for (const analysis of ANALYSES.filter(({ parameters }) => parameters.includes("rollup"))) {
    const spanMs = analysis.parameters.includes("span") ? 2 * MINUTE_MS : null;
    const asked = { ...question, spanMs, toMs: spanMs === null ? question.toMs : question.fromMs! + spanMs };
    const flows = await analyse(database, analysis, asked);
    const edges = await analyse(database, analysis, { ...asked, rollup: "edge_1m" });
    assert.deepEqual(edges, flows, analysis.name);
  }
}

Deno.test("each answer that can be asked of edge_1m is that of every flow of the same minutes", async () => {
  await withLake(await filledLake(), async (database) => {
    // The last minutes are open: the partitions' common ones are whole.
    const [closed] = await database.rows(`
      select epoch_ms(max(first)) as first, epoch_ms(min(last)) as last, any_value(service) as service from (
        select min(window_start) as first, max(window_start) as last, max(client_service_name) as service from edge_1m group by src_partition
      )`);
    const fromMs = Number(closed!["first"]), toMs = Number(closed!["last"]) + MINUTE_MS;
    assert.ok(toMs - fromMs >= 4 * MINUTE_MS);
    await assertSame(database, { ...EVERYTHING, fromMs, toMs, service: String(closed!["service"]), depth: 2 });
  });
});

Deno.test("an edge whose end nobody named is named as of its minute, by listeners and files", async () => {
  using database = await goldenDatabase(`${TESTDATA}names_input.csv`);
  const question = { ...EVERYTHING, names: `${TESTDATA}names.yaml`, service: "shop" };
  await prepareViews(database, question);
  await database.run(`create table edge_1m as select
    minute as window_start, network_transport, client_name as client_service_name, server_name as server_service_name, server_port,
    case when client_name = '' then client_address else '' end as client_address,
    case when server_name = '' then server_address else '' end as server_address,
    connections as connections_opened, failed_refused as connections_failed_refused, failed_timeout as connections_failed_timeout,
    failed_unreachable as connections_failed_unreachable, failed_other as connections_failed_other, tx_bytes as bytes_sent,
    rx_bytes as bytes_received, tx_segments as segments_sent, rx_segments as segments_received,
    client_retransmits + server_retransmits as retransmits, srtt_us_sum, srtt_samples, connect_us_sum, connect_samples
    from conversation`);
  await assertSame(database, { ...question, fromMs: Date.UTC(2026, 0, 2, 3), toMs: Date.UTC(2026, 0, 3) });
});
