-- One row per transport, client address, server address and server port at which more than one service reports an end, or that other
-- sFlow agents estimate. There are few: most ends are one service's, and told once.

with

-- Addresses come first: they are few as well, and where none has two services nothing else is looked at.
shared_clients as (
  select client_address
  from remaining_flow
  where observer_role <> 'server'
  group by client_address
  having min(coalesce(client_service_name, '')) <> max(coalesce(client_service_name, ''))
),

shared_servers as (
  select network_transport, server_address, server_port
  from remaining_flow
  where observer_role = 'server'
  group by network_transport, server_address, server_port
  having min(coalesce(server_service_name, '')) <> max(coalesce(server_service_name, ''))
),

final as (
  select f.network_transport, f.client_address, f.server_address, f.server_port
  from remaining_flow f
  join shared_clients s on s.client_address = f.client_address
  where f.observer_role <> 'server'
  group by f.network_transport, f.client_address, f.server_address, f.server_port
  having min(coalesce(f.client_service_name, '')) <> max(coalesce(f.client_service_name, ''))
  union
  select f.network_transport, f.client_address, f.server_address, f.server_port
  from remaining_flow f
  join shared_servers s
    on s.network_transport = f.network_transport and s.server_address = f.server_address and s.server_port = f.server_port
  where f.observer_role = 'server'
  union
  select network_transport, client_address, server_address, server_port
  from remaining_flow
  where flow_source = 'sflow'
)

select * from final
