-- One row per minute, transport, client address, server address, server port, and client service of its own report, of conversations
-- that shared_key has; of those that no client's host reports, per server service.

with

told as (
  select f.*, unix_micros(f.window_start) - unix_micros(f.window_start) % 60000000 as minute_us
  from remaining_flow f
  join shared_key k
    on k.network_transport = f.network_transport and k.client_address = f.client_address
    and k.server_address = f.server_address and k.server_port = f.server_port
),

-- Whoever tells of a conversation has a view of it: our agents at either end, and each other sFlow agent on its way, which
-- estimates. An end of unknown role counts as the client's, as it does at the collector.
views as (
  select
    minute_us,
    network_transport, client_address, server_address, server_port,
    case when flow_source = 'sflow' then 'estimate' when observer_role = 'server' then 'server' else 'client' end as seen_by,
    case when flow_source = 'sflow' then observer_address else '' end as estimator,
    case when flow_source = 'sflow' or observer_role <> 'server' then coalesce(client_service_name, '') else '' end as client_name,
    case when flow_source = 'sflow' or observer_role = 'server' then coalesce(server_service_name, '') else '' end as server_name,
    max(coalesce(client_service_name, '')) as told_client_name,
    max(coalesce(server_service_name, '')) as told_server_name,
    any_value(client_ip) as client_ip,
    any_value(server_ip) as server_ip,
    sum(connections_opened) as connections,
    sum(connections_failed_refused) as failed_refused,
    sum(connections_failed_timeout) as failed_timeout,
    sum(connections_failed_unreachable) as failed_unreachable,
    sum(connections_failed_other) as failed_other,
    sum(connections_reset) as reset_connections,
    sum(connections_timed_out) as timed_out_connections,
    sum(bytes_sent) as tx_bytes,
    sum(bytes_received) as rx_bytes,
    sum(segments_sent) as tx_segments,
    sum(segments_received) as rx_segments,
    sum(retransmits) as retransmits,
    sum(reordering_seen) as reordering_seen,
    sum(busy_us) as busy_us,
    sum(rwnd_limited_us) as rwnd_limited_us,
    sum(sndbuf_limited_us) as sndbuf_limited_us,
    sum(srtt_us_sum) as srtt_us_sum,
    sum(srtt_samples) as srtt_samples,
    min(min_rtt_us) as min_rtt_us,
    sum(connect_us_sum) as connect_us_sum,
    sum(connect_samples) as connect_samples,
    max(connect_us_max) as connect_us_max
  from told
  group by
    minute_us, network_transport, client_address, server_address, server_port,
    case when flow_source = 'sflow' then 'estimate' when observer_role = 'server' then 'server' else 'client' end,
    case when flow_source = 'sflow' then observer_address else '' end,
    case when flow_source = 'sflow' or observer_role <> 'server' then coalesce(client_service_name, '') else '' end,
    case when flow_source = 'sflow' or observer_role = 'server' then coalesce(server_service_name, '') else '' end
),

-- What is seen of a conversation as a whole. What our agents counted is exact: where one reports no estimate counts. Else the one sFlow
-- agent counts that estimates most, as the switches on its way see the same packets. Of several services that answer it is the one with
-- the most connections. Both are found as the smallest text: what is greatest goes first, then the name.
conversations as (
  select
    minute_us, network_transport, client_address, server_address, server_port,
    max(case when seen_by = 'estimate' then 0 else 1 end) as has_agent,
    sum(case when seen_by = 'client' then 1 else 0 end) as client_views,
    sum(case when seen_by = 'server' then 1 else 0 end) as server_views,
    substr(min(case when seen_by = 'estimate'
      then concat(lpad(cast(9223372036854775807 - tx_bytes - rx_bytes as string), 19, '0'), estimator) end), 20) as estimator,
    substr(min(case when seen_by = 'server'
      then concat(case when server_name = '' then 1 else 0 end,
        lpad(cast(9223372036854775807 - connections as string), 19, '0'), server_name) end), 21) as server_name,
    sum(case when seen_by = 'server' then connections else 0 end) as server_connections,
    sum(case when seen_by = 'server' then tx_bytes else 0 end) as server_tx_bytes,
    sum(case when seen_by = 'server' then rx_bytes else 0 end) as server_rx_bytes,
    sum(case when seen_by = 'server' then tx_segments else 0 end) as server_tx_segments,
    sum(case when seen_by = 'server' then rx_segments else 0 end) as server_rx_segments,
    sum(case when seen_by = 'server' then retransmits else 0 end) as server_retransmits,
    sum(case when seen_by = 'server' then reordering_seen else 0 end) as server_reordering_seen,
    sum(case when seen_by = 'server' then busy_us else 0 end) as server_busy_us,
    sum(case when seen_by = 'server' then rwnd_limited_us else 0 end) as server_rwnd_limited_us,
    sum(case when seen_by = 'server' then sndbuf_limited_us else 0 end) as server_sndbuf_limited_us,
    sum(case when seen_by = 'server' then srtt_us_sum else 0 end) as server_srtt_us_sum,
    sum(case when seen_by = 'server' then srtt_samples else 0 end) as server_srtt_samples
  from views
  group by minute_us, network_transport, client_address, server_address, server_port
),

-- An estimate is of packets, each once, whichever end its agent took for its own: it stands where a client's view would. A server's view
-- stands alone where no client's host reports.
counted as (
  select
    v.minute_us, v.network_transport, v.client_ip, v.server_ip, v.server_port, v.client_address, v.server_address, v.seen_by,
    v.told_client_name, v.told_server_name, v.server_name,
    v.failed_refused, v.failed_timeout, v.failed_unreachable, v.failed_other, v.reset_connections, v.timed_out_connections,
    v.connections, v.tx_bytes, v.rx_bytes, v.tx_segments, v.rx_segments, v.retransmits,
    v.reordering_seen, v.busy_us, v.rwnd_limited_us, v.sndbuf_limited_us, v.srtt_us_sum, v.srtt_samples,
    v.min_rtt_us, v.connect_us_sum, v.connect_samples, v.connect_us_max,
    case when v.seen_by = 'client' and k.client_views = 1 then 1 else 0 end as is_alone,
    k.server_views,
    k.server_name as answering_name,
    k.server_connections,
    k.server_tx_bytes,
    k.server_rx_bytes,
    k.server_tx_segments,
    k.server_rx_segments,
    k.server_retransmits,
    k.server_reordering_seen,
    k.server_busy_us,
    k.server_rwnd_limited_us,
    k.server_sndbuf_limited_us,
    k.server_srtt_us_sum,
    k.server_srtt_samples
  from views v
  join conversations k
    on k.minute_us = v.minute_us and k.network_transport = v.network_transport and k.client_address = v.client_address
    and k.server_address = v.server_address and k.server_port = v.server_port
  where
    v.seen_by = 'client'
    or (v.seen_by = 'estimate' and k.has_agent = 0 and v.estimator = k.estimator)
    or (v.seen_by = 'server' and k.client_views = 0)
),

-- Where one client service holds the conversation, the greater view of each direction counts, and the server's own measures stand beside
-- the client's. Where several share it, each keeps what it saw itself.
final as (
  select
    timestamp_micros(minute_us) as minute,
    network_transport, client_ip, server_ip, server_port, client_address, server_address,
    told_client_name as client_name,
    case when seen_by = 'server' then server_name when coalesce(answering_name, '') <> '' then answering_name else told_server_name end
      as server_name,
    case when seen_by = 'client' and server_views > 0 then 'both' else seen_by end as seen_by,
    failed_refused, failed_timeout, failed_unreachable, failed_other, reset_connections, timed_out_connections,
    case when is_alone = 1 then greatest(connections, server_connections) else connections end as connections,
    case when is_alone = 1 then greatest(tx_bytes, server_tx_bytes) else tx_bytes end as tx_bytes,
    case when is_alone = 1 then greatest(rx_bytes, server_rx_bytes) else rx_bytes end as rx_bytes,
    case when is_alone = 1 then greatest(tx_segments, server_tx_segments) else tx_segments end as tx_segments,
    case when is_alone = 1 then greatest(rx_segments, server_rx_segments) else rx_segments end as rx_segments,
    case when seen_by = 'server' then 0 else retransmits end as client_retransmits,
    case when seen_by = 'server' then retransmits when is_alone = 1 then server_retransmits else 0 end as server_retransmits,
    reordering_seen + case when is_alone = 1 then server_reordering_seen else 0 end as reordering_seen,
    case when seen_by = 'server' then 0 else busy_us end as client_busy_us,
    case when seen_by = 'server' then 0 else rwnd_limited_us end as client_rwnd_limited_us,
    case when seen_by = 'server' then 0 else sndbuf_limited_us end as client_sndbuf_limited_us,
    case when seen_by = 'server' then busy_us when is_alone = 1 then server_busy_us else 0 end as server_busy_us,
    case when seen_by = 'server' then rwnd_limited_us when is_alone = 1 then server_rwnd_limited_us else 0 end as server_rwnd_limited_us,
    case when seen_by = 'server' then sndbuf_limited_us when is_alone = 1 then server_sndbuf_limited_us else 0 end as server_sndbuf_limited_us,
    srtt_us_sum, srtt_samples,
    case when seen_by = 'server' then srtt_us_sum when is_alone = 1 then server_srtt_us_sum else 0 end as server_srtt_us_sum,
    case when seen_by = 'server' then srtt_samples when is_alone = 1 then server_srtt_samples else 0 end as server_srtt_samples,
    min_rtt_us, connect_us_sum, connect_samples, connect_us_max
  from counted
)

select * from final
