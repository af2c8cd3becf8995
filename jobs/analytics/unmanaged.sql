-- One row per address, role, server port and transport of an end that no report, listener or configured range names.

with

-- A name in DNS is no owner.
ends as (
  select
    'server' as role, server_ip as ip, server_address as address, server_port, network_transport, server_service as service,
    client_service as peer, client_zone as peer_zone, connections, tx_bytes as received_bytes, rx_bytes as sent_bytes, minute
  from zoned_conversation
  where server_named_by in ('none', 'dns')
  union all
  select
    'client' as role, client_ip as ip, client_address as address, server_port, network_transport, client_service as service,
    server_service as peer, server_zone as peer_zone, connections, rx_bytes as received_bytes, tx_bytes as sent_bytes, minute
  from zoned_conversation
  where client_named_by in ('none', 'dns')
),

-- A host with an agent reports its own ends.
agents as (
  select server_ip as ip from inventory_flow where observer_role = 'server' and coalesce(flow_source, 'skyfall') <> 'sflow'
  union
  select client_ip as ip from inventory_flow where observer_role = 'client' and coalesce(flow_source, 'skyfall') <> 'sflow'
),

endpoints as (
  select
    role, ip, address, server_port, network_transport, service,
    count(distinct peer) as peers,
    count(distinct peer_zone) as peer_zones,
    cast(sum(connections) as bigint) as connections,
    cast(sum(received_bytes) as bigint) as received_bytes,
    cast(sum(sent_bytes) as bigint) as sent_bytes,
    min(minute) as first_seen,
    max(minute) as last_seen
  from ends
  group by role, ip, address, server_port, network_transport, service
),

-- Exposure: what came in, times who can send it, times from how many zones; a byte stands for what only knocks.
final as (
  select
    e.service, e.role, e.server_port, e.network_transport,
    case when a.ip is null then 'no agent' else 'agent, no service' end as why,
    e.peers, e.peer_zones, e.connections, e.received_bytes, e.sent_bytes,
    cast((e.received_bytes + 1.0) * e.peers * e.peer_zones as double) as exposure,
    e.first_seen, e.last_seen
  from endpoints e
  left join agents a on a.ip = e.ip
)

select * from final
order by exposure desc, role desc, service, server_port, network_transport
