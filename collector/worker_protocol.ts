/** What the main thread and its workers tell each other. */

import type { RefusalCounts } from "./admission.ts";
import type { TableCounts } from "./aggregate.ts";
import type { Answer } from "./answers.ts";
import type { CollectorConfig } from "./config.ts";
import type { PairCounts } from "./pair_ends.ts";
import type { ReceiveCounts } from "./receive.ts";
import type { RowMessage } from "./rows.ts";
import type { StreamCounts } from "./stream_counts.ts";

/**
 * Words of the shared memory; the question's text follows them. A worker that waits in the kernel gets no messages, so that it
 * looks here. `questionNumber` is odd while a question is being written.
 */
export const SHARED = { stop: 0, blocked: 1, questionNumber: 2, questionBytes: 3 } as const;
/** What `SHARED.stop` says: go on; empty the socket, which others get the datagrams of, and end; or first tell the agents. */
export const STOP = { no: 0, drain: 1, leave: 2 } as const;
export const SHARED_WORDS_BYTES = 16;
export const QUESTION_BYTES_MAX = 128 * 1_024;
export const SHARED_BYTES = SHARED_WORDS_BYTES + QUESTION_BYTES_MAX;

/** How often a worker reports. */
export const REPORT_INTERVAL_MS = 1_000;

export interface ToWorker {
  readonly config: CollectorConfig;
  /** File descriptor of the worker's socket, which the main thread closes. */
  readonly fd: number;
  readonly partitionCount: number;
  readonly shared: SharedArrayBuffer;
}

/** A worker's counts since its start, and its table now. */
export interface WorkerReport {
  readonly counts: ReceiveCounts;
  readonly refusals: RefusalCounts;
  readonly streams: StreamCounts;
  readonly socketDroppedDatagrams: number;
  readonly evictedStreams: number;
  readonly leavesSent: number;
  readonly table: TableCounts;
  readonly pairs: PairCounts;
  readonly earlyRows: number;
  readonly identityRounds: number;
  readonly tableRows: number;
  /** Of either address family. */
  readonly tableRowsMax: number;
  readonly tableEvents: number;
}

export type FromWorker =
  | { readonly kind: "receiving" }
  | { readonly kind: "messages"; readonly messages: readonly RowMessage[] }
  | { readonly kind: "report"; readonly report: WorkerReport }
  | { readonly kind: "answer"; readonly questionNumber: number; readonly answer: Answer }
  | { readonly kind: "stopped"; readonly report: WorkerReport }
  | { readonly kind: "failed"; readonly error: string };
