-- One row per minute, transport, client address, server address, server port, and client service of its own report; of
-- conversations that no client's host reports, per server service.

with

-- Whoever tells of a conversation has a view of it: our agents at either end, and each other sFlow agent on its way, which
-- estimates. An end of unknown role counts as the client's, as it does at the collector.
views as (
  select
    date_trunc('minute', window_start) as minute,
    network_transport, client_ip, server_ip, server_port,
    case when flow_source = 'sflow' then 'estimate' when observer_role = 'server' then 'server' else 'client' end as seen_by,
    case when flow_source = 'sflow' then observer_address else '' end as estimator,
    case when flow_source = 'sflow' or observer_role <> 'server' then coalesce(client_service_name, '') else '' end as client_name,
    case when flow_source = 'sflow' or observer_role = 'server' then coalesce(server_service_name, '') else '' end as server_name,
    max(coalesce(client_service_name, '')) as told_client_name,
    max(coalesce(server_service_name, '')) as told_server_name,
    max(client_address) as client_address,
    max(server_address) as server_address,
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
  from asked_flow
  group by
    date_trunc('minute', window_start), network_transport, client_ip, server_ip, server_port,
    case when flow_source = 'sflow' then 'estimate' when observer_role = 'server' then 'server' else 'client' end,
    case when flow_source = 'sflow' then observer_address else '' end,
    case when flow_source = 'sflow' or observer_role <> 'server' then coalesce(client_service_name, '') else '' end,
    case when flow_source = 'sflow' or observer_role = 'server' then coalesce(server_service_name, '') else '' end
),

-- What our agents counted is exact: of such a conversation no estimate counts. Of any other the one sFlow agent counts that
-- estimates most: the switches on its way see the same packets.
estimators as (
  select
    minute, network_transport, client_ip, server_ip, server_port, estimator,
    row_number() over (
      partition by minute, network_transport, client_ip, server_ip, server_port
      order by case when estimator = '' then 0 else 1 end, sum(tx_bytes + rx_bytes) desc, estimator
    ) as rank
  from views
  group by minute, network_transport, client_ip, server_ip, server_port, estimator
),

counted as (
  select v.*
  from views v
  join estimators e
    on e.minute = v.minute and e.network_transport = v.network_transport and e.client_ip = v.client_ip
    and e.server_ip = v.server_ip and e.server_port = v.server_port and e.estimator = v.estimator
  where e.rank = 1
),

-- An estimate is of packets, each once, whichever end its agent took for its own: it stands where a client's view would.
clients as (
  select
    c.*,
    count(*) over (partition by minute, network_transport, client_ip, server_ip, server_port) as client_services
  from counted c
  where seen_by <> 'server'
),

-- The service that answers: of several the one with the most connections.
servers as (
  select
    minute, network_transport, client_ip, server_ip, server_port,
    max(case when rank = 1 then server_name end) as server_name,
    sum(connections) as connections,
    sum(tx_bytes) as tx_bytes,
    sum(rx_bytes) as rx_bytes,
    sum(tx_segments) as tx_segments,
    sum(rx_segments) as rx_segments,
    sum(retransmits) as retransmits,
    sum(reordering_seen) as reordering_seen,
    sum(busy_us) as busy_us,
    sum(rwnd_limited_us) as rwnd_limited_us,
    sum(sndbuf_limited_us) as sndbuf_limited_us,
    sum(srtt_us_sum) as srtt_us_sum,
    sum(srtt_samples) as srtt_samples
  from (
    select
      c.*,
      row_number() over (
        partition by minute, network_transport, client_ip, server_ip, server_port
        order by case when server_name = '' then 1 else 0 end, connections desc, server_name
      ) as rank
    from counted c
    where seen_by = 'server'
  ) ranked
  group by minute, network_transport, client_ip, server_ip, server_port
),

-- Where one client service holds the conversation, the greater view of each direction counts, and the server's own measures
-- stand beside the client's. Where several share it, each keeps what it saw itself.
seen_by_clients as (
  select
    c.minute, c.network_transport, c.client_ip, c.server_ip, c.server_port, c.client_address, c.server_address,
    c.told_client_name as client_name,
    case when coalesce(s.server_name, '') <> '' then s.server_name else c.told_server_name end as server_name,
    case when c.seen_by = 'estimate' then 'estimate' when s.minute is null then 'client' else 'both' end as seen_by,
    c.failed_refused, c.failed_timeout, c.failed_unreachable, c.failed_other, c.reset_connections, c.timed_out_connections,
    case when c.client_services = 1 then greatest(c.connections, coalesce(s.connections, 0)) else c.connections end as connections,
    case when c.client_services = 1 then greatest(c.tx_bytes, coalesce(s.tx_bytes, 0)) else c.tx_bytes end as tx_bytes,
    case when c.client_services = 1 then greatest(c.rx_bytes, coalesce(s.rx_bytes, 0)) else c.rx_bytes end as rx_bytes,
    case when c.client_services = 1 then greatest(c.tx_segments, coalesce(s.tx_segments, 0)) else c.tx_segments end as tx_segments,
    case when c.client_services = 1 then greatest(c.rx_segments, coalesce(s.rx_segments, 0)) else c.rx_segments end as rx_segments,
    c.retransmits as client_retransmits,
    case when c.client_services = 1 then coalesce(s.retransmits, 0) else 0 end as server_retransmits,
    c.reordering_seen + case when c.client_services = 1 then coalesce(s.reordering_seen, 0) else 0 end as reordering_seen,
    c.busy_us as client_busy_us,
    c.rwnd_limited_us as client_rwnd_limited_us,
    c.sndbuf_limited_us as client_sndbuf_limited_us,
    case when c.client_services = 1 then coalesce(s.busy_us, 0) else 0 end as server_busy_us,
    case when c.client_services = 1 then coalesce(s.rwnd_limited_us, 0) else 0 end as server_rwnd_limited_us,
    case when c.client_services = 1 then coalesce(s.sndbuf_limited_us, 0) else 0 end as server_sndbuf_limited_us,
    c.srtt_us_sum, c.srtt_samples,
    case when c.client_services = 1 then coalesce(s.srtt_us_sum, 0) else 0 end as server_srtt_us_sum,
    case when c.client_services = 1 then coalesce(s.srtt_samples, 0) else 0 end as server_srtt_samples,
    c.min_rtt_us, c.connect_us_sum, c.connect_samples, c.connect_us_max
  from clients c
  left join servers s
    on s.minute = c.minute and s.network_transport = c.network_transport and s.client_ip = c.client_ip
    and s.server_ip = c.server_ip and s.server_port = c.server_port
),

-- A server's view stands alone where no client's host reports.
seen_by_servers_only as (
  select
    s.minute, s.network_transport, s.client_ip, s.server_ip, s.server_port, s.client_address, s.server_address,
    s.told_client_name as client_name,
    s.server_name,
    'server' as seen_by,
    s.failed_refused, s.failed_timeout, s.failed_unreachable, s.failed_other, s.reset_connections, s.timed_out_connections,
    s.connections, s.tx_bytes, s.rx_bytes, s.tx_segments, s.rx_segments,
    0 as client_retransmits,
    s.retransmits as server_retransmits,
    s.reordering_seen,
    0 as client_busy_us, 0 as client_rwnd_limited_us, 0 as client_sndbuf_limited_us,
    s.busy_us as server_busy_us,
    s.rwnd_limited_us as server_rwnd_limited_us,
    s.sndbuf_limited_us as server_sndbuf_limited_us,
    s.srtt_us_sum, s.srtt_samples,
    s.srtt_us_sum as server_srtt_us_sum,
    s.srtt_samples as server_srtt_samples,
    s.min_rtt_us, s.connect_us_sum, s.connect_samples, s.connect_us_max
  from counted s
  left join clients c
    on c.minute = s.minute and c.network_transport = s.network_transport and c.client_ip = s.client_ip
    and c.server_ip = s.server_ip and c.server_port = s.server_port
  where s.seen_by = 'server' and c.minute is null
),

final as (
  select * from seen_by_clients
  union all
  select * from seen_by_servers_only
)

select * from final
