-- One row per row of asked_kept, a part of conversation_1m: what flow_conversation finds, found before.

with

final as (
  select
    window_start as minute,
    network_transport, client_ip, server_ip, server_port, client_address, server_address,
    client_service_name as client_name,
    server_service_name as server_name,
    seen_by,
    connections_failed_refused as failed_refused,
    connections_failed_timeout as failed_timeout,
    connections_failed_unreachable as failed_unreachable,
    connections_failed_other as failed_other,
    connections_reset as reset_connections,
    connections_timed_out as timed_out_connections,
    connections_opened as connections,
    bytes_sent as tx_bytes,
    bytes_received as rx_bytes,
    segments_sent as tx_segments,
    segments_received as rx_segments,
    client_retransmits, server_retransmits, reordering_seen,
    client_busy_us, client_rwnd_limited_us, client_sndbuf_limited_us, server_busy_us, server_rwnd_limited_us, server_sndbuf_limited_us,
    srtt_us_sum, srtt_samples, server_srtt_us_sum, server_srtt_samples,
    min_rtt_us, connect_us_sum, connect_samples, connect_us_max
  from asked_kept
)

select * from final
