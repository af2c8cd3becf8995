/** What `bottlenecks` says of a whole fleet at once, beyond its golden case. */

import assert from "node:assert/strict";
import { analyse } from "../analytics.ts";
import { EVERYTHING } from "../question.ts";
import { at, goldenDatabase } from "../testdata/golden.ts";
import { bottlenecks } from "./bottlenecks.ts";

const HEADER = "window_start,observer_role,network_transport,client_address,server_address,server_port,client_service_name," +
  "connections_opened,bytes_sent,bytes_received,segments_sent,segments_received,retransmits,srtt_us_sum,srtt_samples,connect_us_sum,connect_samples";
const EDGES = 24;

/** Verdicts on edges of two clients of twelve servers, which have a tenth of last week's traffic, but the first so many of them. */
async function verdicts(asUsual: number): Promise<Set<unknown>> {
  const before = [0, 1, 2, 3, 4].map((minute) => `2025-12-26 10:0${minute}:00+00`), now = "2026-01-02 10:00:00+00";
  const rows = Array.from({ length: EDGES }, (_, i) => {
    const pair = Math.floor(i / 2);
    const edge = `client,tcp,10.0.0.${i % 2},10.0.1.${pair % 6},${100 + pair},service${i % 4}`;
    const row = (time: string, part: number) =>
      [time, edge, 20 * part, 1e6 * part, 1e6 * part, 2000 * part, 2000 * part, 0, 20_000, 20, 20_000, 20].join();
    return [...before.map((time) => row(time, 1)), row(now, i < asUsual ? 1 : 0.1)];
  }).flat();
  const file = await Deno.makeTempFile({ suffix: ".csv" });
  await Deno.writeTextFile(file, [HEADER, ...rows].join("\n"));
  using database = await goldenDatabase(file);
  const { rows: answer } = await analyse(database, bottlenecks, { ...EVERYTHING, fromMs: at(10) });
  return new Set(answer.map(({ verdict }) => verdict));
}

Deno.test("a quiet hour is nobody's fault", async () => {
  assert.deepEqual(await verdicts(0), new Set(["insufficient data"]));
});

Deno.test("what all clients of a server have less of, while others do not, is the server's doing", async () => {
  assert.deepEqual(await verdicts(12), new Set(["healthy", "remote application"]));
});
