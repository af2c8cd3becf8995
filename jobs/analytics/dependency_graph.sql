-- One row per client service, server service, server port and transport.

with

-- Whoever tells of a conversation has a view of it: our agents at either end, and each other sFlow agent on its way, which
-- estimates. Views are kept apart here, and never added up.
views as (
  select
    network_transport, client_ip, server_ip, server_port, observer_role,
    case when flow_source = 'sflow' then observer_address else '' end as estimator,
    any_value(client_address) as client_address,
    any_value(server_address) as server_address,
    coalesce(client_service_name, '') as client_service_name,
    coalesce(server_service_name, '') as server_service_name,
    sum(connections_opened) as connections,
    sum(connections_failed_refused + connections_failed_timeout + connections_failed_unreachable
      + connections_failed_other) as failed_connections,
    sum(bytes_sent) as tx_bytes,
    sum(bytes_received) as rx_bytes,
    sum(retransmits) as retransmits,
    sum(srtt_us_sum) as srtt_us_sum,
    sum(srtt_samples) as srtt_samples
  from flow
  group by network_transport, client_ip, server_ip, server_port, observer_role,
    case when flow_source = 'sflow' then observer_address else '' end,
    coalesce(client_service_name, ''), coalesce(server_service_name, '')
),

-- What our agents counted is exact: of such a conversation no estimate counts.
counted as (
  select distinct network_transport, client_ip, server_ip, server_port from views where estimator = ''
),

-- Of any other the one sFlow agent counts that estimates most: the switches on its way see the same packets.
estimators_ranked as (
  select
    v.network_transport, v.client_ip, v.server_ip, v.server_port, v.estimator,
    row_number() over (
      partition by v.network_transport, v.client_ip, v.server_ip, v.server_port
      order by sum(v.tx_bytes + v.rx_bytes) desc, v.estimator
    ) as rank
  from views v
  left join counted c
    on c.network_transport = v.network_transport and c.client_ip = v.client_ip
    and c.server_ip = v.server_ip and c.server_port = v.server_port
  where v.estimator <> '' and c.server_port is null
  group by v.network_transport, v.client_ip, v.server_ip, v.server_port, v.estimator
),

estimates as (
  select v.*
  from views v
  join estimators_ranked r
    on r.network_transport = v.network_transport and r.client_ip = v.client_ip
    and r.server_ip = v.server_ip and r.server_port = v.server_port and r.estimator = v.estimator
  where r.rank = 1
),

-- An estimate is of packets, each once, whichever end its agent took for its own: it stands where a client's view would.
client_views as (
  select * from views where estimator = '' and observer_role <> 'server'
  union all
  select * from estimates
),

server_views as (
  select * from views where estimator = '' and observer_role = 'server'
),

-- A service that answers at an address and port gives them its name; of several the one with the most connections.
listeners_ranked as (
  select
    network_transport, server_ip, server_port, server_service_name,
    row_number() over (
      partition by network_transport, server_ip, server_port
      order by sum(connections) desc, server_service_name
    ) as rank
  from server_views
  where server_service_name <> ''
  group by network_transport, server_ip, server_port, server_service_name
),

listeners as (
  select network_transport, server_ip, server_port, server_service_name from listeners_ranked where rank = 1
),

-- What the servers saw of a conversation, and how many client services share it.
conversations as (
  select
    network_transport, client_ip, server_ip, server_port,
    sum(connections) as connections,
    sum(tx_bytes) as tx_bytes,
    sum(rx_bytes) as rx_bytes,
    sum(retransmits) as retransmits
  from server_views
  group by network_transport, client_ip, server_ip, server_port
),

sharers as (
  select network_transport, client_ip, server_ip, server_port, count(distinct client_service_name) as client_services
  from client_views
  group by network_transport, client_ip, server_ip, server_port
),

-- Where one client service holds the conversation, the greater view of each direction counts, and retransmissions of both
-- ends add up, as they are of different directions. Where several share it, each keeps what it saw itself.
seen_by_clients as (
  select
    c.client_service_name, c.client_address,
    coalesce(l.server_service_name, '') as server_service_name, c.server_address,
    c.server_port, c.network_transport,
    case when h.client_services = 1 then greatest(c.connections, coalesce(s.connections, 0)) else c.connections end as connections,
    c.failed_connections,
    case when h.client_services = 1 then greatest(c.tx_bytes, coalesce(s.tx_bytes, 0)) else c.tx_bytes end as tx_bytes,
    case when h.client_services = 1 then greatest(c.rx_bytes, coalesce(s.rx_bytes, 0)) else c.rx_bytes end as rx_bytes,
    case when h.client_services = 1 then c.retransmits + coalesce(s.retransmits, 0) else c.retransmits end as retransmits,
    c.srtt_us_sum, c.srtt_samples
  from client_views c
  join sharers h
    on h.network_transport = c.network_transport and h.client_ip = c.client_ip
    and h.server_ip = c.server_ip and h.server_port = c.server_port
  left join conversations s
    on s.network_transport = c.network_transport and s.client_ip = c.client_ip
    and s.server_ip = c.server_ip and s.server_port = c.server_port
  left join listeners l
    on l.network_transport = c.network_transport and l.server_ip = c.server_ip and l.server_port = c.server_port
),

-- A server's view stands alone where no client's host reports.
seen_by_servers_only as (
  select
    '' as client_service_name, s.client_address,
    s.server_service_name, s.server_address,
    s.server_port, s.network_transport,
    s.connections, s.failed_connections, s.tx_bytes, s.rx_bytes, s.retransmits, s.srtt_us_sum, s.srtt_samples
  from server_views s
  left join sharers h
    on h.network_transport = s.network_transport and h.client_ip = s.client_ip
    and h.server_ip = s.server_ip and h.server_port = s.server_port
  where h.client_services is null
),

-- An end that nothing names is unmanaged, and goes by its address.
named as (
  select
    case when client_service_name = '' then 'unmanaged ' || client_address else client_service_name end as client_service,
    case when server_service_name = '' then 'unmanaged ' || server_address else server_service_name end as server_service,
    server_port, network_transport, connections, failed_connections, tx_bytes, rx_bytes, retransmits, srtt_us_sum, srtt_samples
  from (select * from seen_by_clients union all select * from seen_by_servers_only) edges
),

-- Round-trip times are the client's, weighted by its samples.
final as (
  select
    client_service, server_service, server_port, network_transport,
    cast(sum(connections) as bigint) as connections,
    cast(sum(failed_connections) as bigint) as failed_connections,
    cast(sum(tx_bytes) as bigint) as tx_bytes,
    cast(sum(rx_bytes) as bigint) as rx_bytes,
    cast(sum(retransmits) as bigint) as retransmits,
    cast(round(sum(srtt_us_sum) / nullif(sum(srtt_samples), 0)) as bigint) as srtt_us
  from named
  group by client_service, server_service, server_port, network_transport
)

select * from final
order by tx_bytes + rx_bytes desc, client_service, server_service, server_port, network_transport
