-- One row per source node, target node and 5-tuple: what it sent in all, its greatest minute, and the place in which a hash puts it.

with

told as (
  select
    date_trunc('minute', window_start) as minute, network_transport, client_address, server_address, server_port, client_ports,
    case when observer_role = 'server' then 1 else 0 end as is_server
  from asked_flow
),

-- The client's word on its ports counts before the server's.
tellers as (
  select minute, network_transport, client_address, server_address, server_port, min(is_server) as is_server
  from told
  where cardinality(client_ports) > 0
  group by minute, network_transport, client_address, server_address, server_port
),

ports as (
  select distinct
    d.minute, d.network_transport, d.client_address, d.server_address, d.server_port, explode(d.client_ports) as client_port
  from told d
  join tellers t
    on t.minute = d.minute and t.network_transport = d.network_transport and t.client_address = d.client_address
    and t.server_address = d.server_address and t.server_port = d.server_port and t.is_server = d.is_server
),

port_counts as (
  select minute, network_transport, client_address, server_address, server_port, count(*) as ports
  from ports
  group by minute, network_transport, client_address, server_address, server_port
),

conversations as (
  select
    minute, network_transport, client_address, server_address, server_port,
    any_value(client_ip) as client_ip, any_value(server_ip) as server_ip, sum(tx_bytes) as tx_bytes, sum(rx_bytes) as rx_bytes
  from named_conversation
  group by minute, network_transport, client_address, server_address, server_port
),

-- A conversation is told with all its connections of a minute: each has the same part of the bytes. Without ports it is one.
tuples as (
  select
    c.minute, c.network_transport, c.client_address, c.server_address, c.server_port, c.client_ip, c.server_ip,
    coalesce(p.client_port, 0) as client_port,
    8.0 * c.tx_bytes / coalesce(n.ports, 1) as tx_bits,
    8.0 * c.rx_bytes / coalesce(n.ports, 1) as rx_bits
  from conversations c
  left join port_counts n
    on n.minute = c.minute and n.network_transport = c.network_transport and n.client_address = c.client_address
    and n.server_address = c.server_address and n.server_port = c.server_port
  left join ports p
    on p.minute = c.minute and p.network_transport = c.network_transport and p.client_address = c.client_address
    and p.server_address = c.server_address and p.server_port = c.server_port
),

directions as (
  select
    minute, client_ip as source_ip, server_ip as target_ip, tx_bits as bits,
    concat(network_transport, ' ', client_address, ' ', client_port, ' > ', server_address, ' ', server_port) as tuple
  from tuples
  union all
  select
    minute, server_ip as source_ip, client_ip as target_ip, rx_bits as bits,
    concat(network_transport, ' ', server_address, ' ', server_port, ' > ', client_address, ' ', client_port) as tuple
  from tuples
),

minutes as (
  select s.node as source_node, t.node as target_node, d.tuple, d.minute, sum(d.bits) as bits
  from directions d
  join address_node s on s.ip = d.source_ip and d.minute >= s.valid_from and d.minute < s.valid_to
  join address_node t on t.ip = d.target_ip and d.minute >= t.valid_from and d.minute < t.valid_to
  where d.bits > 0 and s.node <> t.node
  group by s.node, t.node, d.tuple, d.minute
),

final as (
  select
    source_node, target_node, tuple,
    sum(bits) as bits,
    max(bits) / 60.0 as peak_bps,
    cast(conv(substr(md5(tuple), 1, 7), 16, 10) as bigint) % 256 as bucket
  from minutes
  group by source_node, target_node, tuple
)

select * from final
