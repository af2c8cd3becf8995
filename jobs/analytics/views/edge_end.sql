-- One row per edge and end of it: the hosts, whether its conversations go on there, and its zones.

with

timed as (
  select
    concat_ws(chr(10), client_service, server_service, cast(server_port as string), network_transport) as edge,
    client_service, server_service, client_ip, server_ip, server_port, network_transport, minute, tx_bytes, rx_bytes, connections,
    case when a.asked_from is not null and minute < a.asked_from then 1 else 0 end as is_before
  from named_conversation
  cross join asked_time a
),

-- Two hosts talk if in either direction a tenth of the bytes of a minute before went, or more; without a past, if they connected.
pair_minutes as (
  select client_ip, server_ip, minute, is_before, sum(tx_bytes) as tx_bytes, sum(rx_bytes) as rx_bytes, sum(connections) as connections
  from timed
  group by client_ip, server_ip, minute, is_before
),

pairs as (
  select
    client_ip, server_ip,
    case
      when sum(is_before) >= 5 and avg(case when is_before = 0 then tx_bytes end) >= 0.1 * avg(case when is_before = 1 then tx_bytes end)
        and avg(case when is_before = 0 then rx_bytes end) >= 0.1 * avg(case when is_before = 1 then rx_bytes end)
      then 1
      when sum(is_before) < 5 and sum(connections) > 0 then 1
      else 0
    end as is_talking
  from pair_minutes
  group by client_ip, server_ip
  having sum(1 - is_before) > 0
),

hosts as (
  select ip, count(distinct peer_ip) as peers, max(is_talking) as is_talking
  from (
    select client_ip as ip, server_ip as peer_ip, is_talking from pairs
    union all
    select server_ip as ip, client_ip as peer_ip, is_talking from pairs
  ) both_ends
  group by ip
),

final as (
  select
    t.edge, t.client_service, t.server_service, t.client_ip, t.server_ip,
    max(p.is_talking) as is_pair_talking,
    max(c.is_talking) as is_client_talking,
    max(c.peers) as client_peers,
    max(s.is_talking) as is_server_talking,
    coalesce(max(cz.zone), 'unzoned') as client_zone,
    coalesce(max(sz.zone), 'unzoned') as server_zone
  from timed t
  join pairs p on p.client_ip = t.client_ip and p.server_ip = t.server_ip
  join hosts c on c.ip = t.client_ip
  join hosts s on s.ip = t.server_ip
  left join zone_range cz
    on t.client_ip between cz.range_low and cz.range_high and t.minute >= cz.valid_from and t.minute < cz.valid_to
  left join zone_range sz
    on t.server_ip between sz.range_low and sz.range_high and t.minute >= sz.valid_from and t.minute < sz.valid_to
  where t.is_before = 0
  group by t.edge, t.client_service, t.server_service, t.client_ip, t.server_ip
)

select * from final
