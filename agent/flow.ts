/** What one socket did in one period, as the agent reports it; the closed sets of lib/sflow/skyfall.x by name. */

import type { ProcessDescription } from "./processes.ts";

export const ROLE = { unknown: 0, client: 1, server: 2 } as const;
export const ROLE_SOURCE = { none: 0, connect: 1, accept: 2, listen: 3, heuristic: 4 } as const;
export const ATTRIBUTION_SOURCE = { unknown: 0, connect: 1, close: 2, release: 3, task_file: 4, listener: 5, accept: 6 } as const;
export const END_REASON = {
  open: 0,
  closed_local: 1,
  closed_remote: 2,
  reset_local: 3,
  reset_remote: 4,
  timeout: 5,
  refused: 6,
  connect_timeout: 7,
  unreachable: 8,
  connect_aborted: 9,
  connect_failed: 10,
} as const;
/** Bits of `amounts_known`. */
export const AMOUNTS_KNOWN = { none: 0, sent: 1, received: 2, both: 3 } as const;
export const TRANSPORT_TCP = 6, TRANSPORT_UDP = 17;

/** Fields of `skyfall_flow`, with the process itself in place of its index. */
export interface Flow {
  readonly flow_id: number;
  readonly period_start_unix_us: number;
  readonly period_end_unix_us: number;
  readonly local_address: Uint8Array;
  readonly remote_address: Uint8Array;
  readonly local_port: number;
  readonly remote_port: number;
  readonly transport_protocol: number;
  readonly process: ProcessDescription | null;
  readonly role: number;
  readonly role_source: number;
  readonly attribution_source: number;
  readonly state: number;
  readonly end_reason: number;
  readonly opened_count: number;
  readonly amounts_known: number;
  readonly tx_bytes: number;
  readonly rx_bytes: number;
  readonly retrans_bytes: number;
  readonly tx_segments: number;
  readonly rx_segments: number;
  readonly retrans_segments: number;
  readonly lost_segments: number;
  readonly reordering_count: number;
  readonly busy_us: number;
  readonly rwnd_limited_us: number;
  readonly sndbuf_limited_us: number;
  readonly srtt_us: number;
  readonly rttvar_us: number;
  readonly min_rtt_us: number;
  readonly snd_cwnd_segments: number;
  readonly connect_us: number;
}
