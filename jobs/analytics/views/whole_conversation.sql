-- One row per minute, transport, client address, server address and server port of conversations that shared_key has not: each end is
-- of one service, and what both saw of it is found in one go.

with

-- An end of unknown role counts as the client's, as it does at the collector. Minutes are numbers until all is added up: engines are
-- quicker with them.
told as (
  select
    f.*,
    unix_micros(f.window_start) - unix_micros(f.window_start) % 60000000 as minute_us,
    case when f.observer_role = 'server' then 1 else 0 end as by_server
  from remaining_flow f
  left join shared_key k
    on k.network_transport = f.network_transport and k.client_address = f.client_address
    and k.server_address = f.server_address and k.server_port = f.server_port
  where k.server_port is null
),

views as (
  select
    minute_us, network_transport, client_address, server_address, server_port,
    max(1 - by_server) as has_client,
    max(by_server) as has_server,
    max(case when by_server = 0 then client_service_name end) as client_name,
    max(case when by_server = 1 then server_service_name end) as server_name,
    max(case when by_server = 1 then client_service_name end) as client_told_by_server,
    max(case when by_server = 0 then server_service_name end) as server_told_by_client,
    any_value(client_ip) as client_ip,
    any_value(server_ip) as server_ip,
    sum(case when by_server = 0 then connections_failed_refused else 0 end) as client_failed_refused,
    sum(case when by_server = 1 then connections_failed_refused else 0 end) as server_failed_refused,
    sum(case when by_server = 0 then connections_failed_timeout else 0 end) as client_failed_timeout,
    sum(case when by_server = 1 then connections_failed_timeout else 0 end) as server_failed_timeout,
    sum(case when by_server = 0 then connections_failed_unreachable else 0 end) as client_failed_unreachable,
    sum(case when by_server = 1 then connections_failed_unreachable else 0 end) as server_failed_unreachable,
    sum(case when by_server = 0 then connections_failed_other else 0 end) as client_failed_other,
    sum(case when by_server = 1 then connections_failed_other else 0 end) as server_failed_other,
    sum(case when by_server = 0 then connections_reset else 0 end) as client_reset_connections,
    sum(case when by_server = 1 then connections_reset else 0 end) as server_reset_connections,
    sum(case when by_server = 0 then connections_timed_out else 0 end) as client_timed_out_connections,
    sum(case when by_server = 1 then connections_timed_out else 0 end) as server_timed_out_connections,
    sum(case when by_server = 0 then connections_opened else 0 end) as client_connections,
    sum(case when by_server = 1 then connections_opened else 0 end) as server_connections,
    sum(case when by_server = 0 then bytes_sent else 0 end) as client_tx_bytes,
    sum(case when by_server = 1 then bytes_sent else 0 end) as server_tx_bytes,
    sum(case when by_server = 0 then bytes_received else 0 end) as client_rx_bytes,
    sum(case when by_server = 1 then bytes_received else 0 end) as server_rx_bytes,
    sum(case when by_server = 0 then segments_sent else 0 end) as client_tx_segments,
    sum(case when by_server = 1 then segments_sent else 0 end) as server_tx_segments,
    sum(case when by_server = 0 then segments_received else 0 end) as client_rx_segments,
    sum(case when by_server = 1 then segments_received else 0 end) as server_rx_segments,
    sum(case when by_server = 0 then retransmits else 0 end) as client_retransmits,
    sum(case when by_server = 1 then retransmits else 0 end) as server_retransmits,
    sum(case when by_server = 0 then busy_us else 0 end) as client_busy_us,
    sum(case when by_server = 1 then busy_us else 0 end) as server_busy_us,
    sum(case when by_server = 0 then rwnd_limited_us else 0 end) as client_rwnd_limited_us,
    sum(case when by_server = 1 then rwnd_limited_us else 0 end) as server_rwnd_limited_us,
    sum(case when by_server = 0 then sndbuf_limited_us else 0 end) as client_sndbuf_limited_us,
    sum(case when by_server = 1 then sndbuf_limited_us else 0 end) as server_sndbuf_limited_us,
    sum(case when by_server = 0 then srtt_us_sum else 0 end) as client_srtt_us_sum,
    sum(case when by_server = 1 then srtt_us_sum else 0 end) as server_srtt_us_sum,
    sum(case when by_server = 0 then srtt_samples else 0 end) as client_srtt_samples,
    sum(case when by_server = 1 then srtt_samples else 0 end) as server_srtt_samples,
    sum(reordering_seen) as reordering_seen,
    min(case when by_server = 0 then min_rtt_us end) as client_min_rtt_us,
    min(case when by_server = 1 then min_rtt_us end) as server_min_rtt_us,
    sum(case when by_server = 0 then connect_us_sum else 0 end) as client_connect_us_sum,
    sum(case when by_server = 1 then connect_us_sum else 0 end) as server_connect_us_sum,
    sum(case when by_server = 0 then connect_samples else 0 end) as client_connect_samples,
    sum(case when by_server = 1 then connect_samples else 0 end) as server_connect_samples,
    max(case when by_server = 0 then connect_us_max end) as client_connect_us_max,
    max(case when by_server = 1 then connect_us_max end) as server_connect_us_max
  from told
  group by minute_us, network_transport, client_address, server_address, server_port
),

-- The greater view of each direction counts. Failures and round-trip times are the client's, and the server's where no client reports.
final as (
  select
    timestamp_micros(minute_us) as minute,
    network_transport, client_ip, server_ip, server_port, client_address, server_address,
    coalesce(case when has_client = 1 then client_name else client_told_by_server end, '') as client_name,
    case when coalesce(server_name, '') <> '' then server_name else coalesce(server_told_by_client, '') end as server_name,
    case when has_client = 0 then 'server' when has_server = 1 then 'both' else 'client' end as seen_by,
    case when has_client = 1 then client_failed_refused else server_failed_refused end as failed_refused,
    case when has_client = 1 then client_failed_timeout else server_failed_timeout end as failed_timeout,
    case when has_client = 1 then client_failed_unreachable else server_failed_unreachable end as failed_unreachable,
    case when has_client = 1 then client_failed_other else server_failed_other end as failed_other,
    case when has_client = 1 then client_reset_connections else server_reset_connections end as reset_connections,
    case when has_client = 1 then client_timed_out_connections else server_timed_out_connections end as timed_out_connections,
    greatest(client_connections, server_connections) as connections,
    greatest(client_tx_bytes, server_tx_bytes) as tx_bytes,
    greatest(client_rx_bytes, server_rx_bytes) as rx_bytes,
    greatest(client_tx_segments, server_tx_segments) as tx_segments,
    greatest(client_rx_segments, server_rx_segments) as rx_segments,
    client_retransmits, server_retransmits, reordering_seen,
    client_busy_us, client_rwnd_limited_us, client_sndbuf_limited_us, server_busy_us, server_rwnd_limited_us, server_sndbuf_limited_us,
    case when has_client = 1 then client_srtt_us_sum else server_srtt_us_sum end as srtt_us_sum,
    case when has_client = 1 then client_srtt_samples else server_srtt_samples end as srtt_samples,
    server_srtt_us_sum, server_srtt_samples,
    case when has_client = 1 then client_min_rtt_us else server_min_rtt_us end as min_rtt_us,
    case when has_client = 1 then client_connect_us_sum else server_connect_us_sum end as connect_us_sum,
    case when has_client = 1 then client_connect_samples else server_connect_samples end as connect_samples,
    case when has_client = 1 then client_connect_us_max else server_connect_us_max end as connect_us_max
  from views
)

select * from final
