-- One row per row of found_conversation, under the names of conversation_1m: kept_conversation.sql the other way.

with

final as (
  select
    minute as window_start,
    network_transport, client_ip, server_ip, server_port, client_address, server_address,
    client_name as client_service_name,
    server_name as server_service_name,
    seen_by,
    failed_refused as connections_failed_refused,
    failed_timeout as connections_failed_timeout,
    failed_unreachable as connections_failed_unreachable,
    failed_other as connections_failed_other,
    reset_connections as connections_reset,
    timed_out_connections as connections_timed_out,
    connections as connections_opened,
    tx_bytes as bytes_sent,
    rx_bytes as bytes_received,
    tx_segments as segments_sent,
    rx_segments as segments_received,
    client_retransmits, server_retransmits, reordering_seen,
    client_busy_us, client_rwnd_limited_us, client_sndbuf_limited_us, server_busy_us, server_rwnd_limited_us, server_sndbuf_limited_us,
    srtt_us_sum, srtt_samples, server_srtt_us_sum, server_srtt_samples,
    min_rtt_us, connect_us_sum, connect_samples, connect_us_max
  from found_conversation
)

select * from final
