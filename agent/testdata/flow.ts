/** A flow, for tests. */

import type { Flow } from "../flow.ts";

const ADDRESS = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1);

/** A client's flow whose every field has a value of its own. */
export function makeFlow(values: Partial<Flow> = {}): Flow {
  return {
    flow_id: 2 ** 40 + 1,
    period_start_unix_us: 1_800_000_000_000_001,
    period_end_unix_us: 1_800_000_000_000_002,
    local_address: ADDRESS,
    remote_address: ADDRESS,
    local_port: 3,
    remote_port: 4,
    transport_protocol: 6,
    process: null,
    role: 1,
    role_source: 2,
    attribution_source: 5,
    state: 7,
    end_reason: 8,
    opened_count: 1,
    amounts_known: 3,
    tx_bytes: 2 ** 45 + 9,
    rx_bytes: 10,
    retrans_bytes: 11,
    tx_segments: 12,
    rx_segments: 13,
    retrans_segments: 14,
    lost_segments: 15,
    reordering_count: 21,
    busy_us: 22,
    rwnd_limited_us: 23,
    sndbuf_limited_us: 24,
    srtt_us: 16,
    rttvar_us: 17,
    min_rtt_us: 18,
    snd_cwnd_segments: 19,
    connect_us: 20,
    ...values,
  };
}
