-- One row per client service, server service, server port and transport of the time that is asked about: what holds it up, seen from
-- the client, which is local.

with

-- What is true of every edge at a host, in either role: of a host with at least three edges, two services and two peers. Round trips are
-- judged by peers, as a path is what lies between two hosts.
host_edges as (
  select e.client_ip as ip, e.server_ip as peer_ip, e.client_service as service, s.edge, s.is_slow, s.is_slow_known, s.is_less
  from edge_end e
  join edge_symptom s on s.edge = e.edge
  where e.client_ip <> e.server_ip
  union all
  select e.server_ip as ip, e.client_ip as peer_ip, concat(e.server_service, chr(10), cast(s.server_port as string)) as service, s.edge,
    s.is_slow, s.is_slow_known, s.is_less
  from edge_end e
  join edge_symptom s on s.edge = e.edge
  where e.client_ip <> e.server_ip
),

host_peers as (
  select ip, peer_ip, max(is_slow) as is_slow
  from host_edges
  where is_slow_known = 1
  group by ip, peer_ip
),

slow_hosts as (
  select ip
  from host_peers
  group by ip
  having count(*) >= 3 and min(is_slow) = 1
),

lazy_hosts as (
  select ip
  from host_edges
  where is_less is not null
  group by ip
  having count(distinct edge) >= 3 and count(distinct service) >= 2 and min(is_less) = 1
),

places as (
  select
    e.edge,
    max(e.is_pair_talking) as is_pair_talking,
    max(e.is_client_talking) as is_client_talking,
    max(e.client_peers) as client_peers,
    max(e.is_server_talking) as is_server_talking,
    min(case when c.ip is null then 0 else 1 end) as is_client_slow,
    min(case when s.ip is null then 0 else 1 end) as is_server_slow,
    min(case when cl.ip is null then 0 else 1 end) as is_client_lazy,
    min(case when sl.ip is null then 0 else 1 end) as is_server_lazy
  from edge_end e
  left join slow_hosts c on c.ip = e.client_ip
  left join slow_hosts s on s.ip = e.server_ip
  left join lazy_hosts cl on cl.ip = e.client_ip
  left join lazy_hosts sl on sl.ip = e.server_ip
  group by e.edge
),

-- An edge is silent if attempts stay unanswered, or open connections send again, between hosts that talked and do not.
judged as (
  select
    s.*,
    p.is_pair_talking, p.is_client_talking, p.client_peers, p.is_server_talking, p.is_client_slow, p.is_server_slow,
    p.is_client_lazy, p.is_server_lazy,
    case
      when p.is_pair_talking = 1 then 0
      when s.is_unanswered = 1 or (s.usual_minutes >= 5 and s.is_below_usual = 1 and s.retransmits >= 3) then 1
      else 0
    end as is_silent,
    count(s.is_less) over (partition by s.server_service, s.server_port, s.network_transport) - case when s.is_less is null then 0 else 1 end
      as other_clients,
    coalesce(sum(s.is_less) over (partition by s.server_service, s.server_port, s.network_transport), 0) - coalesce(s.is_less, 0)
      as other_clients_less
  from edge_symptom s
  join places p on p.edge = s.edge
),

-- The first that holds. SYNs that are not answered between hosts that talk are those of a full accept queue, as are SYNs that are answered
-- a second late without losses. A stall by the receive window is the reader's.
findings as (
  select
    j.*,
    case
      when segments < 200 and attempts < 5 and is_silent = 0 and coalesce(is_less, 0) = 0 then 'too few'
      when failed_refused >= 3 and failed_refused >= 0.05 * attempts then 'refused'
      when failed_unreachable >= 3 and failed_unreachable >= 0.05 * attempts then 'unreachable'
      when is_silent = 1 and is_server_talking = 0 then 'silent'
      when is_silent = 1 and is_client_talking = 0 and client_peers >= 2 then 'cut off'
      when is_slow = 0 and is_server_lazy = 1 and is_client_lazy = 0 then 'server host lazy'
      when is_slow = 0 and is_client_lazy = 1 and is_server_lazy = 0 then 'client host lazy'
      when is_silent = 1 then 'cut'
      when is_unanswered = 1 and is_slow = 0 then 'queue full'
      when reset_connections >= 3 and reset_connections >= 0.05 * connections then 'reset'
      when connect_samples >= 3 and connect_us > coalesce(srtt_us, 0) + 300000 and is_lossy = 0 and is_slow = 0 then 'queue slow'
      when is_lossy = 1 and reordering_seen >= 0.5 * retransmits then 'reordered'
      when is_lossy = 1 then 'lossy'
      when client_busy_us >= 1000000 and client_rwnd_limited_us >= 0.3 * client_busy_us
        and client_rwnd_limited_us > 2.0 * minutes * coalesce(usual_client_rwnd_limited_us, 0) and coalesce(is_less, 1) = 1
      then 'server reads slowly'
      when server_busy_us >= 1000000 and server_rwnd_limited_us >= 0.3 * server_busy_us
        and server_rwnd_limited_us > 2.0 * minutes * coalesce(usual_server_rwnd_limited_us, 0) and coalesce(is_less, 1) = 1
      then 'client reads slowly'
      when client_busy_us >= 1000000 and client_sndbuf_limited_us >= 0.3 * client_busy_us then 'client buffer'
      when server_busy_us >= 1000000 and server_sndbuf_limited_us >= 0.3 * server_busy_us then 'server buffer'
      when is_slow = 1 and is_client_slow = 1 and is_server_slow = 0 then 'client host slow'
      when is_slow = 1 and is_server_slow = 1 and is_client_slow = 0 then 'server host slow'
      when is_slow = 1 then 'path slow'
      when is_reordered = 1 then 'reordered'
      when is_less = 1 and is_asked_less = 0 and 2.0 * tx_bytes < minutes * usual_tx_bytes
        and (usual_tx_bytes >= usual_rx_bytes or 2.0 * rx_bytes >= minutes * usual_rx_bytes)
      then 'client sends slowly'
      when is_less = 1 and is_asked_less = 0 and 2.0 * rx_bytes < minutes * usual_rx_bytes then 'server sends slowly'
      when is_less = 1 and is_asked_less = 1 and other_clients >= 1 and other_clients_less = other_clients then 'answers slowly'
      when is_less = 1 and is_asked_less = 1 and other_clients >= 1 and other_clients_less = 0 and is_same_hour = 1 then 'asks slowly'
      when is_less = 1 and is_asked_less = 1 and is_same_hour = 1 then 'less'
      when is_seen_by_client = 0 or segments < 1000 then 'too few'
      else 'nothing'
    end as finding
  from judged j
),

-- The contrast: of the client's other edges, and of the server's other clients, how many have nothing.
contrasted as (
  select
    f.*,
    count(*) over (partition by client_service) - 1 as client_edges,
    sum(case when finding in ('nothing', 'too few') then 1 else 0 end) over (partition by client_service)
      - case when finding in ('nothing', 'too few') then 1 else 0 end as client_healthy,
    count(*) over (partition by server_service, server_port) - 1 as server_edges,
    sum(case when finding in ('nothing', 'too few') then 1 else 0 end) over (partition by server_service, server_port)
      - case when finding in ('nothing', 'too few') then 1 else 0 end as server_healthy,
    concat(
      cast(cast(round(100.0 * (tx_bytes + rx_bytes) / minutes / nullif(usual_bytes, 0)) as bigint) as string), ' % of the usual bytes')
      as share_of_bytes
  from findings f
),

final as (
  select
    case
      when finding in ('unreachable', 'cut', 'lossy', 'reordered', 'path slow') then 'network path'
      when finding in ('silent', 'server host slow', 'server host lazy', 'server buffer') then 'remote host'
      when finding in ('refused', 'queue full', 'queue slow', 'reset', 'server reads slowly', 'server sends slowly', 'answers slowly')
      then 'remote application'
      when finding in ('cut off', 'client host slow', 'client host lazy', 'client buffer') then 'local host'
      when finding in ('client reads slowly', 'client sends slowly', 'asks slowly') then 'local application'
      when finding in ('too few', 'less') then 'insufficient data'
      else 'healthy'
    end as verdict,
    client_service, server_service, server_port, network_transport,
    case finding
      when 'too few' then concat(
        case when is_seen_by_client = 0 then 'the client does not report; ' else '' end,
        'needed 1000 segments for a verdict')
      when 'less' then concat(share_of_bytes, '; no other client of the server tells whose doing that is')
      when 'refused' then concat(cast(failed_refused as bigint), ' of ', cast(attempts as bigint), ' attempts refused')
      when 'unreachable' then concat(cast(failed_unreachable as bigint), ' of ', cast(attempts as bigint), ' attempts without a route')
      when 'queue full' then concat(
        cast(unanswered as bigint), ' of ', cast(attempts as bigint), ' attempts unanswered by a host that it talks to')
      when 'silent' then concat(cast(unanswered as bigint), ' of ', cast(attempts as bigint), ' attempts unanswered, nothing there answers anybody')
      when 'cut' then concat(
        cast(unanswered as bigint), ' of ', cast(attempts as bigint), ' attempts unanswered by a host that talks to others, not to this one')
      when 'cut off' then concat(
        cast(unanswered as bigint), ' of ', cast(attempts as bigint), ' attempts unanswered, nobody answers the host of the client')
      when 'reset' then concat(cast(reset_connections as bigint), ' of ', cast(connections as bigint), ' connections reset')
      when 'queue slow' then concat('connecting takes ', cast(cast(round(connect_us / 1000) as bigint) as string), ' ms without losses')
      when 'reordered' then concat(cast(retransmits as bigint), ' sent again, ', cast(reordering_seen as bigint), ' times out of order')
      when 'lossy' then concat(cast(retransmits as bigint), ' of ', cast(segments as bigint), ' segments sent again')
      when 'server reads slowly' then concat(
        'client stalled by the receive window ', cast(cast(round(100.0 * client_rwnd_limited_us / client_busy_us) as bigint) as string), ' % of its busy time')
      when 'client reads slowly' then concat(
        'server stalled by the receive window ', cast(cast(round(100.0 * server_rwnd_limited_us / server_busy_us) as bigint) as string), ' % of its busy time')
      when 'client buffer' then concat(
        'client stalled by its send buffer ', cast(cast(round(100.0 * client_sndbuf_limited_us / client_busy_us) as bigint) as string), ' % of its busy time')
      when 'server buffer' then concat(
        'server stalled by its send buffer ', cast(cast(round(100.0 * server_sndbuf_limited_us / server_busy_us) as bigint) as string), ' % of its busy time')
      when 'client host slow' then 'round trips longer to all peers of the client host'
      when 'server host slow' then 'round trips longer to all peers of the server host'
      when 'client host lazy' then concat(share_of_bytes, ', and less than usual on all edges of the client host')
      when 'server host lazy' then concat(share_of_bytes, ', and less than usual on all edges of the server host')
      when 'path slow' then 'round trips longer than usual, not to all peers of either host'
      when 'client sends slowly' then concat(share_of_bytes, ' over as many connections')
      when 'server sends slowly' then concat(share_of_bytes, ' over as many connections')
      when 'answers slowly' then concat(share_of_bytes, ', and less than usual for all clients of the server')
      when 'asks slowly' then concat(share_of_bytes, ', and as usual for the other clients of the server')
      else case when is_slow_known = 1 then 'no symptom' else 'no symptom; no earlier round trips to compare with' end
    end as evidence,
    concat(client_healthy, ' of ', client_edges, ' other edges of the client, ', server_healthy, ' of ', server_edges,
      ' other clients of the server') as healthy_around,
    case when usual_minutes is null then 'new' else concat(cast(usual_minutes as bigint), ' minutes') end as seen_before,
    compared_with,
    cast(attempts as bigint) as attempts,
    cast(segments as bigint) as segments,
    round(100.0 * loss, 3) as loss_percent,
    round(100.0 * greatest(loss_middle - loss_half_width, 0), 3) as loss_low_percent,
    round(100.0 * least(loss_middle + loss_half_width, 1.0), 3) as loss_high_percent,
    round(100.0 * usual_loss, 3) as usual_loss_percent,
    cast(round(srtt_us) as bigint) as srtt_us,
    cast(round(usual_srtt_us) as bigint) as usual_srtt_us,
    cast(round(connect_us) as bigint) as connect_us
  from contrasted
)

select * from final
order by
  case verdict when 'healthy' then 2 when 'insufficient data' then 1 else 0 end,
  attempts + segments desc, client_service, server_service, server_port, network_transport
