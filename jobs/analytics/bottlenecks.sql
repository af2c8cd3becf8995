-- One row per client service, server service, server port and transport of the time that is asked about: what holds it up, seen from
-- the client, which is local.

with

-- Whatever was before the time that is asked about is what an edge is compared with.
timed as (
  select n.*, case when a.asked_from is not null and n.minute < a.asked_from then 1 else 0 end as is_before
  from named_conversation n
  cross join asked_time a
),

edges as (
  select
    client_service, server_service, server_port, network_transport,
    sum(connections) as connections,
    sum(failed_refused) as failed_refused,
    sum(failed_timeout) as failed_timeout,
    sum(failed_unreachable) as failed_unreachable,
    sum(connections + failed_refused + failed_timeout + failed_unreachable + failed_other) as attempts,
    sum(reset_connections) as reset_connections,
    sum(tx_bytes) as tx_bytes,
    sum(rx_bytes) as rx_bytes,
    sum(tx_segments + rx_segments) as segments,
    sum(client_retransmits + server_retransmits) as retransmits,
    sum(reordering_seen) as reordering_seen,
    sum(client_busy_us) as client_busy_us,
    sum(client_rwnd_limited_us) as client_rwnd_limited_us,
    sum(client_sndbuf_limited_us) as client_sndbuf_limited_us,
    sum(server_busy_us) as server_busy_us,
    sum(server_rwnd_limited_us) as server_rwnd_limited_us,
    sum(server_sndbuf_limited_us) as server_sndbuf_limited_us,
    sum(srtt_us_sum) / nullif(sum(srtt_samples), 0) as srtt_us,
    sum(srtt_samples) as srtt_samples,
    sum(connect_us_sum) / nullif(sum(connect_samples), 0) as connect_us,
    sum(connect_samples) as connect_samples,
    count(distinct minute) as minutes,
    max(case when seen_by in ('both', 'client') then 1 else 0 end) as is_seen_by_client,
    max(case when seen_by in ('both', 'server') then 1 else 0 end) as is_seen_by_server
  from timed
  where is_before = 0
  group by client_service, server_service, server_port, network_transport
),

earlier_minutes as (
  select
    client_service, server_service, server_port, network_transport, minute,
    sum(connections) as connections,
    sum(tx_bytes + rx_bytes) as bytes,
    sum(tx_segments + rx_segments) as segments,
    sum(client_retransmits + server_retransmits) as retransmits,
    sum(srtt_us_sum) / nullif(sum(srtt_samples), 0) as srtt_us
  from timed
  where is_before = 1
  group by client_service, server_service, server_port, network_transport, minute
),

earlier as (
  select
    client_service, server_service, server_port, network_transport,
    count(*) as minutes,
    sum(connections) / count(*) as connections_per_minute,
    sum(bytes) / count(*) as bytes_per_minute,
    sum(segments) as segments,
    sum(retransmits) as retransmits,
    count(srtt_us) as srtt_minutes,
    avg(srtt_us) as srtt_us,
    coalesce(stddev_samp(srtt_us), 0) as srtt_us_deviation
  from earlier_minutes
  group by client_service, server_service, server_port, network_transport
),

-- The share of segments that were sent again, and its Wilson interval (95 of 100). What an edge had before is its measure if there
-- were 1,000 segments, else what all edges together had, others than itself.
shares as (
  select
    e.*,
    b.minutes as earlier_minutes, b.connections_per_minute, b.bytes_per_minute,
    b.srtt_minutes, b.srtt_us as earlier_srtt_us, b.srtt_us_deviation,
    e.retransmits / nullif(e.segments, 0) as loss,
    (e.retransmits + 1.92) / (e.segments + 3.84) as loss_middle,
    1.96 * sqrt(greatest(e.retransmits * (1.0 - e.retransmits / greatest(e.segments, 1)), 0) + 0.96) / (e.segments + 3.84) as loss_half_width,
    case
      when b.segments >= 1000 then b.retransmits / b.segments
      else coalesce((sum(e.retransmits) over () - e.retransmits) / nullif(sum(e.segments) over () - e.segments, 0), 0)
    end as usual_loss
  from edges e
  left join earlier b
    on b.client_service = e.client_service and b.server_service = e.server_service
    and b.server_port = e.server_port and b.network_transport = e.network_transport
),

-- Losses are found at five standard errors from what is usual: among 20,000 healthy edges chance finds none. Below one half in 100
-- nothing is held up. Round-trip times are judged against the edge's own past alone: of at least five minutes.
symptoms as (
  select
    s.*,
    case
      when segments >= 1000 and loss > 0.005 and loss > 2 * usual_loss
        and loss - usual_loss > 5 * sqrt(greatest(usual_loss, 0.0001) * (1 - greatest(usual_loss, 0.0001)) / segments)
      then 1 else 0
    end as is_lossy,
    case
      when srtt_samples >= 10 and srtt_minutes >= 5 and srtt_us > 1.5 * earlier_srtt_us and srtt_us > earlier_srtt_us + 1000
        and srtt_us > earlier_srtt_us + 4 * srtt_us_deviation
      then 1 else 0
    end as is_slow,
    case when srtt_samples >= 10 and srtt_minutes >= 5 then 1 else 0 end as is_slow_known
  from shares s
),

-- Which hosts an edge has at either end, and how many of the peers of each are slow.
pairs as (
  select distinct t.client_service, t.server_service, t.server_port, t.network_transport, t.client_ip, t.server_ip
  from timed t
  where t.is_before = 0
),

host_peers as (
  select p.client_ip as ip, p.server_ip as peer_ip, max(s.is_slow) as is_slow
  from pairs p
  join symptoms s
    on s.client_service = p.client_service and s.server_service = p.server_service
    and s.server_port = p.server_port and s.network_transport = p.network_transport
  where s.is_slow_known = 1
  group by p.client_ip, p.server_ip
  union all
  select p.server_ip as ip, p.client_ip as peer_ip, max(s.is_slow) as is_slow
  from pairs p
  join symptoms s
    on s.client_service = p.client_service and s.server_service = p.server_service
    and s.server_port = p.server_port and s.network_transport = p.network_transport
  where s.is_slow_known = 1
  group by p.server_ip, p.client_ip
),

-- A host is slow if it is to all of three peers or more.
slow_hosts as (
  select ip
  from host_peers
  where ip <> peer_ip
  group by ip
  having count(*) >= 3 and min(is_slow) = 1
),

-- A server host answers if anything on it does.
answering as (
  select server_ip, sum(connections) as connections, count(distinct server_port) as ports
  from timed
  where is_before = 0 and connections > 0
  group by server_ip
),

places as (
  select
    p.client_service, p.server_service, p.server_port, p.network_transport,
    min(case when c.ip is null then 0 else 1 end) as is_client_host_slow,
    min(case when s.ip is null then 0 else 1 end) as is_server_host_slow,
    max(case when a.server_ip is null then 0 else 1 end) as is_server_host_answering
  from pairs p
  left join slow_hosts c on c.ip = p.client_ip
  left join slow_hosts s on s.ip = p.server_ip
  left join answering a on a.server_ip = p.server_ip
  group by p.client_service, p.server_service, p.server_port, p.network_transport
),

-- The first that holds. A stall by the receive window is the reader's; SYNs that nobody answers on a host that answers others, or that
-- are answered a second late without losses, are those of a full accept queue.
findings as (
  select
    s.*,
    case
      when s.segments < 200 and s.attempts < 5 then 'too few'
      when s.failed_refused >= 3 and s.failed_refused >= 0.05 * s.attempts then 'refused'
      when s.failed_unreachable >= 3 and s.failed_unreachable >= 0.05 * s.attempts then 'unreachable'
      when s.failed_timeout >= 3 and s.failed_timeout >= 0.05 * s.attempts and s.is_lossy = 1 then 'lossy'
      when s.failed_timeout >= 3 and s.failed_timeout >= 0.05 * s.attempts and p.is_server_host_answering = 1 then 'queue full'
      when s.failed_timeout >= 3 and s.failed_timeout >= 0.05 * s.attempts then 'silent'
      when s.reset_connections >= 3 and s.reset_connections >= 0.05 * s.connections then 'reset'
      when s.connect_samples >= 3 and s.connect_us > coalesce(s.srtt_us, 0) + 300000 and s.is_lossy = 0 then 'queue slow'
      when s.is_lossy = 1 and s.reordering_seen >= 0.5 * s.retransmits then 'reordered'
      when s.is_lossy = 1 then 'lossy'
      when s.client_busy_us >= 1000000 and s.client_rwnd_limited_us >= 0.3 * s.client_busy_us then 'server reads slowly'
      when s.server_busy_us >= 1000000 and s.server_rwnd_limited_us >= 0.3 * s.server_busy_us then 'client reads slowly'
      when s.client_busy_us >= 1000000 and s.client_sndbuf_limited_us >= 0.3 * s.client_busy_us then 'client buffer'
      when s.server_busy_us >= 1000000 and s.server_sndbuf_limited_us >= 0.3 * s.server_busy_us then 'server buffer'
      when s.is_slow = 1 and p.is_client_host_slow = 1 and p.is_server_host_slow = 0 then 'client host slow'
      when s.is_slow = 1 and p.is_server_host_slow = 1 and p.is_client_host_slow = 0 then 'server host slow'
      when s.is_slow = 1 then 'path slow'
      when s.earlier_minutes >= 5 and 3.0 * (s.tx_bytes + s.rx_bytes) / s.minutes < s.bytes_per_minute
        and 1.0 * s.connections / s.minutes >= 0.7 * s.connections_per_minute
      then case when s.tx_bytes >= s.rx_bytes then 'client sends slowly' else 'server sends slowly' end
      when s.is_seen_by_client = 0 or s.segments < 1000 then 'too few'
      else 'nothing'
    end as finding
  from symptoms s
  join places p
    on p.client_service = s.client_service and p.server_service = s.server_service
    and p.server_port = s.server_port and p.network_transport = s.network_transport
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
      - case when finding in ('nothing', 'too few') then 1 else 0 end as server_healthy
  from findings f
),

final as (
  select
    case
      when finding in ('unreachable', 'lossy', 'reordered', 'path slow') then 'network path'
      when finding in ('silent', 'server host slow', 'server buffer') then 'remote host'
      when finding in ('refused', 'queue full', 'queue slow', 'reset', 'server reads slowly', 'server sends slowly')
      then 'remote application'
      when finding in ('client host slow', 'client buffer') then 'local host'
      when finding in ('client reads slowly', 'client sends slowly') then 'local application'
      when finding = 'too few' then 'insufficient data'
      else 'healthy'
    end as verdict,
    client_service, server_service, server_port, network_transport,
    case finding
      when 'too few' then concat(
        case when is_seen_by_client = 0 then 'the client does not report; ' else '' end,
        'needed 1000 segments for a verdict')
      when 'refused' then concat(cast(failed_refused as bigint), ' of ', cast(attempts as bigint), ' attempts refused')
      when 'unreachable' then concat(cast(failed_unreachable as bigint), ' of ', cast(attempts as bigint), ' attempts without a route')
      when 'queue full' then concat(
        cast(failed_timeout as bigint), ' of ', cast(attempts as bigint), ' attempts unanswered by a host that answers others')
      when 'silent' then concat(cast(failed_timeout as bigint), ' of ', cast(attempts as bigint), ' attempts unanswered, nothing there answers')
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
      when 'path slow' then 'round trips longer than before, not to all peers of either host'
      when 'client sends slowly' then 'a third of the bytes of before, or less, over as many connections'
      when 'server sends slowly' then 'a third of the bytes of before, or less, over as many connections'
      else case when is_slow_known = 1 then 'no symptom' else 'no symptom; no earlier round trips to compare with' end
    end as evidence,
    concat(client_healthy, ' of ', client_edges, ' other edges of the client, ', server_healthy, ' of ', server_edges,
      ' other clients of the server') as healthy_around,
    cast(attempts as bigint) as attempts,
    cast(segments as bigint) as segments,
    round(100.0 * loss, 3) as loss_percent,
    round(100.0 * greatest(loss_middle - loss_half_width, 0), 3) as loss_low_percent,
    round(100.0 * least(loss_middle + loss_half_width, 1.0), 3) as loss_high_percent,
    round(100.0 * usual_loss, 3) as usual_loss_percent,
    cast(round(srtt_us) as bigint) as srtt_us,
    cast(round(earlier_srtt_us) as bigint) as usual_srtt_us,
    cast(round(connect_us) as bigint) as connect_us
  from contrasted
)

select * from final
order by
  case verdict when 'healthy' then 2 when 'insufficient data' then 1 else 0 end,
  attempts + segments desc, client_service, server_service, server_port, network_transport
