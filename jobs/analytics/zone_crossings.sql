-- One row per client zone, server zone, server port and transport, of conversations whose ends are in different zones.

with

crossings as (
  select
    client_zone, server_zone, server_port, network_transport,
    count(distinct client_service) as client_services,
    count(distinct server_service) as server_services,
    min(client_service) as a_client_service,
    min(server_service) as a_server_service,
    cast(sum(connections) as bigint) as connections,
    cast(sum(failed_refused + failed_timeout + failed_unreachable + failed_other) as bigint) as failed_connections,
    cast(sum(tx_bytes) as bigint) as tx_bytes,
    cast(sum(rx_bytes) as bigint) as rx_bytes,
    min(minute) as first_seen,
    max(minute) as last_seen
  from zoned_conversation
  where client_zone <> server_zone
  group by client_zone, server_zone, server_port, network_transport
),

-- The first rule that fits decides; with rules, what none fits is denied.
fitting as (
  select
    c.client_zone, c.server_zone, c.server_port, c.network_transport, p.action,
    row_number() over (
      partition by c.client_zone, c.server_zone, c.server_port, c.network_transport order by p.position
    ) as rank
  from crossings c
  join zone_policy p
    on p.from_zone in (c.client_zone, '*') and p.to_zone in (c.server_zone, '*')
    and coalesce(p.port, c.server_port) = c.server_port and coalesce(p.transport, c.network_transport) = c.network_transport
),

judged as (
  select
    c.*,
    case when r.rules = 0 then '' else coalesce(f.action, 'deny') end as action,
    c.connections = 0 and c.tx_bytes + c.rx_bytes = 0 and c.failed_connections > 0 as is_failed_only
  from crossings c
  cross join (select count(*) as rules from zone_policy) r
  left join fitting f
    on f.client_zone = c.client_zone and f.server_zone = c.server_zone and f.server_port = c.server_port
    and f.network_transport = c.network_transport and f.rank = 1
),

-- What a policy denies and yet goes through has escaped it; what it allows and only fails is dropped by mistake. New is what was not
-- there in the 30 days before; where no begin was asked for there is no before.
final as (
  select
    case
      when j.action = 'allow' and not j.is_failed_only then 'permitted'
      when j.action = 'allow' then 'misdropped'
      when j.action = 'deny' and not j.is_failed_only then 'escaped'
      when j.action = 'deny' then 'rejected'
      else 'no policy'
    end as verdict,
    j.client_zone, j.server_zone, j.server_port, j.network_transport,
    case when a.has_history = 0 then 'unknown' when k.server_port is null then 'yes' else 'no' end as is_new,
    case when j.is_failed_only then 'yes' else 'no' end as failed_only,
    j.client_services, j.server_services, j.a_client_service, j.a_server_service,
    j.connections, j.failed_connections, j.tx_bytes, j.rx_bytes, j.first_seen, j.last_seen
  from judged j
  cross join asked_history a
  left join known_crossing k
    on k.client_zone = j.client_zone and k.server_zone = j.server_zone and k.server_port = j.server_port
    and k.network_transport = j.network_transport
)

select * from final
order by
  case verdict when 'escaped' then 0 when 'rejected' then 1 when 'misdropped' then 2 else 3 end,
  tx_bytes + rx_bytes desc, failed_connections desc, client_zone, server_zone, server_port, network_transport
