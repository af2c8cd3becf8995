/** What the main thread and its workers tell each other. */

import type { TableCounts } from "./aggregate.ts";
import type { CollectorConfig } from "./config.ts";
import type { PairCounts } from "./pair_ends.ts";
import type { ReceiveCounts } from "./receive.ts";
import type { RowMessage } from "./rows.ts";
import type { StreamCounts } from "./stream_counts.ts";

/** Places in the shared flags. A worker that waits in the kernel gets no messages, so that it looks here. */
export const SHARED = { stop: 0, blocked: 1 } as const;
export const SHARED_BYTES = 8;

export interface ToWorker {
  readonly config: CollectorConfig;
  readonly partitionCount: number;
  readonly shared: SharedArrayBuffer;
}

/** A worker's last words. */
export interface WorkerReport {
  readonly counts: ReceiveCounts;
  readonly streams: StreamCounts;
  readonly socketDroppedDatagrams: number;
  readonly evictedStreams: number;
  readonly table: TableCounts;
  readonly pairs: PairCounts;
  readonly earlyRows: number;
  readonly identityRounds: number;
}

export type FromWorker =
  | { readonly kind: "bound"; readonly port: number; readonly receiveBufferBytes: number }
  | { readonly kind: "messages"; readonly messages: readonly RowMessage[] }
  | { readonly kind: "stopped"; readonly report: WorkerReport }
  | { readonly kind: "failed"; readonly error: string };
