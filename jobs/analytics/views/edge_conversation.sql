-- One row per row of asked_edge, as a conversation whose ends are services where a report named them, else addresses: what
-- conversation.sql finds from every flow, added up before.

with

final as (
  select
    window_start as minute,
    network_transport, client_address, server_address, server_port,
    client_service_name as client_name,
    server_service_name as server_name,
    connections_opened as connections,
    connections_failed_refused as failed_refused,
    connections_failed_timeout as failed_timeout,
    connections_failed_unreachable as failed_unreachable,
    connections_failed_other as failed_other,
    bytes_sent as tx_bytes,
    bytes_received as rx_bytes,
    segments_sent as tx_segments,
    segments_received as rx_segments,
    retransmits as client_retransmits,
    0 as server_retransmits,
    srtt_us_sum, srtt_samples, connect_us_sum, connect_samples
  from asked_edge
)

select * from final
