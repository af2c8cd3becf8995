/** Messages of flows for tests: few hosts and services, so that ends meet, with late rows, wrong clocks, and agents that estimate. */

import { encodeFlowBatch, type FlowBatch } from "../../lib/flow_batch.ts";
import { flowBatch, randomNumbers } from "../../lib/testdata/flow_batch.ts";
import { openProducer } from "../../lib/topic/open.ts";

const MINUTE_US = 60_000_000;
/** 2026-01-02 03:55 UTC, so that some minutes on it is another hour. */
const START_US = 1_767_326_100_000_000;
/** Names that are in another order in UTF-16 and in UTF-8 among them, and one with a NUL. */
const NAMES = ["", "shop", "web", "w\0b", "\u{1f600}", "\uffee"];

/**
 * A message of the minute that is `minutesOn` minutes after the first.
 *
 * @param seed The same seed gives the same message.
 */
export function conversationMessage(rowCount: number, seed: number, minutesOn: number): Uint8Array {
  const random = randomNumbers(seed), batch = flowBatch(rowCount, seed), rows = Array.from({ length: rowCount });
  const starts = BigInt64Array.from(rows, () => BigInt(START_US + (minutesOn - minutesLate(random)) * MINUTE_US + random(MINUTE_US)));
  const names = () => ({ codes: Int32Array.from(rows, () => random(2) === 0 ? -1 : random(NAMES.length)), dictionary: NAMES });
  const samples = BigInt64Array.from(rows, () => BigInt(random(6)));
  const columns: FlowBatch["columns"] = {
    ...batch.columns,
    window_start: { values: starts },
    window_end: { values: starts.map((start) => start + BigInt(random(MINUTE_US))) },
    observer_role: { codes: Int32Array.from(rows, () => random(3)), dictionary: ["client", "server", "unknown"] },
    observer_address: { codes: Int32Array.from(rows, () => random(3)), dictionary: ["10.0.0.1", "10.0.0.2", "2001:db8::1"] },
    flow_source: { codes: Int32Array.from(rows, () => random(4) === 0 ? 1 : 0), dictionary: ["skyfall", "sflow"] },
    network_transport: { codes: Int32Array.from(rows, () => random(2)), dictionary: ["tcp", "udp"] },
    client_ip: { bytes: addresses(rowCount, random) },
    server_ip: { bytes: addresses(rowCount, random) },
    server_port: { values: Int32Array.from(rows, () => [80, 443, 65_535][random(3)]!) },
    client_service_name: names(),
    server_service_name: names(),
    srtt_samples: { values: samples },
    srtt_us_sum: { values: samples.map((n) => n * BigInt(random(3) === 0 ? 2 ** random(40) : random(5_000))) },
    bytes_sent: { values: BigInt64Array.from(rows, () => random(200) === 0 ? 2n ** 50n - 1n : BigInt(random(1_000))) },
  };
  return encodeFlowBatch({ rowCount, columns });
}

/** Publishes such messages, `from` to before `to`, to either of two partitions: three to a minute. */
export async function publishConversations(topic: string, rowCount: number, from: number, to: number): Promise<void> {
  await using producer = await openProducer(topic);
  for (let i = from; i < to; i++) {
    await producer.publish([0, 1].map((partition) => ({
      partition,
      value: conversationMessage(rowCount, 2 * i + partition, Math.floor(i / 3)),
    })));
  }
}

/** Most rows are of the minute or the one before; some are late, a few very much so, or early. */
function minutesLate(random: (below: number) => number): number {
  const part = random(100);
  if (part < 70) return random(2);
  if (part < 97) return random(6);
  return part < 99 ? 30 : -90;
}

function addresses(rowCount: number, random: (below: number) => number): Uint8Array {
  const bytes = new Uint8Array(16 * rowCount);
  for (let i = 0; i < rowCount; i++) {
    bytes.set(random(4) === 0 ? [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0], 16 * i);
    bytes[16 * i + 15] = random(4);
  }
  return bytes;
}
