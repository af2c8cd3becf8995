/** Random flow rows for tests and benches, the same for the same seed. */

import type { FlowBatch } from "../flow_batch.ts";
import { FLOW_SCHEMA_VERSION, MESSAGE_COLUMNS } from "../records.ts";

/** Microseconds of 2026-01-02 03:04:05 UTC. */
export const START_US = 1_767_323_045_000_000;

/** Whole numbers of 0 to before `below`, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = state + 0x6d2b_79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  };
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  observer_role: ["client", "server"],
  direction_source: ["connect", "accept"],
  attribution_source: ["connect", "close"],
  network_transport: ["tcp"],
  flow_source: ["skyfall", "sflow"],
  reporter: ["client", "server", "both"],
};

/** A batch in which every column varies, and columns that may be null sometimes are. */
export function flowBatch(rowCount: number, seed: number, startUs = START_US): FlowBatch {
  const random = randomNumbers(seed);
  const starts = new BigInt64Array(rowCount);
  const columns = MESSAGE_COLUMNS.map((column) => {
    const valid = column.nullable ? { valid: Uint8Array.from({ length: rowCount }, () => random(10) === 0 ? 0 : 1) } : {};
    switch (column.type) {
      case "VARCHAR": {
        const dictionary = VALUES[column.name] ?? Array.from({ length: 20 }, (_, i) => `${column.name} ${i} ä'"`);
        return [column.name, { codes: Int32Array.from({ length: rowCount }, () => column.nullable && random(10) === 0 ? -1 : random(dictionary.length)), dictionary }];
      }
      case "BLOB":
        return [column.name, { bytes: addresses(rowCount, random) }];
      case "INTEGER[]":
        return [column.name, lists(rowCount, random)];
      case "INTEGER":
        return [column.name, { values: Int32Array.from({ length: rowCount }, () => column.name === "schema_version" ? FLOW_SCHEMA_VERSION : random(65_536)), ...valid }];
      case "TIMESTAMPTZ":
        if (column.name === "window_end") return [column.name, { values: starts.map((start) => start + BigInt(random(60_000_000))) }];
        for (let i = 0; i < rowCount; i++) starts[i] = BigInt(startUs + random(60_000_000));
        return [column.name, { values: starts }];
      default:
        return [column.name, { values: BigInt64Array.from({ length: rowCount }, () => BigInt(random(1_000_000))), ...valid }];
    }
  });
  return { rowCount, columns: Object.fromEntries(columns) };
}

/** One in five IPv6, the others mapped IPv4, of some hundred hosts. */
function addresses(rowCount: number, random: (below: number) => number): Uint8Array {
  const bytes = new Uint8Array(16 * rowCount);
  for (let i = 0; i < rowCount; i++) {
    const isIpv6 = random(5) === 0;
    bytes.set(isIpv6 ? [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, random(4)], 16 * i);
    bytes[16 * i + 15] = random(200);
  }
  return bytes;
}

function lists(rowCount: number, random: (below: number) => number): { offsets: Int32Array; values: Int32Array } {
  const offsets = new Int32Array(rowCount + 1);
  for (let i = 0; i < rowCount; i++) offsets[i + 1] = offsets[i]! + random(5);
  return { offsets, values: Int32Array.from({ length: offsets[rowCount]! }, () => 32_768 + random(28_000)) };
}
