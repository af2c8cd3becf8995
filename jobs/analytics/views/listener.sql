-- One row per transport, server address, server port and stretch of time in which one service answered there, as the agent of
-- its host reported it: of those in unnamed_server alone, as any other is named by the conversation itself.

with

-- Of several services in a minute the one with the most connections.
sightings as (
  select
    date_trunc('minute', f.window_start) as minute,
    f.network_transport, f.server_address, f.server_port, f.server_service_name,
    row_number() over (
      partition by date_trunc('minute', f.window_start), f.network_transport, f.server_address, f.server_port
      order by sum(f.connections_opened) desc, f.server_service_name
    ) as rank
  from inventory_flow f
  join unnamed_server u
    on u.network_transport = f.network_transport and u.server_address = f.server_address and u.server_port = f.server_port
  where f.observer_role = 'server' and coalesce(f.flow_source, 'skyfall') <> 'sflow' and coalesce(f.server_service_name, '') <> ''
  group by date_trunc('minute', f.window_start), f.network_transport, f.server_address, f.server_port, f.server_service_name
),

changes as (
  select
    minute, network_transport, server_address, server_port, server_service_name,
    case
      when lag(server_service_name) over (partition by network_transport, server_address, server_port order by minute) = server_service_name
      then 0 else 1
    end as is_change
  from sightings
  where rank = 1
),

numbered as (
  select
    minute, network_transport, server_address, server_port, server_service_name,
    sum(is_change) over (
      partition by network_transport, server_address, server_port order by minute rows between unbounded preceding and current row
    ) as stretch
  from changes
),

stretches as (
  select network_transport, server_address, server_port, server_service_name, stretch, min(minute) as first_minute, max(minute) as last_minute
  from numbered
  group by network_transport, server_address, server_port, server_service_name, stretch
),

-- A service is taken to be there until another one is, and for an hour after it was last seen: an agent that fell silent takes no
-- name away at once, and an address that came into other hands without an agent does not keep its old name.
final as (
  select
    network_transport, server_address, server_port, server_service_name as service,
    first_minute as valid_from,
    least(
      last_minute + interval 1 hour,
      coalesce(
        lead(first_minute) over (partition by network_transport, server_address, server_port order by first_minute),
        last_minute + interval 1 hour
      )
    ) as valid_to
  from stretches
)

select * from final
