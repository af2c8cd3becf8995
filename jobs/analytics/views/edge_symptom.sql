-- One row per edge of the time that is asked about: what it did, what is usual for it, and in which ways it is not as usual.

with

edges as (
  select
    edge, client_service, server_service, server_port, network_transport,
    count(*) as minutes,
    sum(connections) as connections,
    sum(failed_refused) as failed_refused,
    sum(unanswered) as unanswered,
    sum(failed_unreachable) as failed_unreachable,
    sum(connections + failed_refused + unanswered + failed_unreachable) as attempts,
    sum(reset_connections) as reset_connections,
    sum(tx_bytes) as tx_bytes,
    sum(rx_bytes) as rx_bytes,
    sum(segments) as segments,
    sum(retransmits) as retransmits,
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
    max(is_seen_by_client) as is_seen_by_client
  from edge_minute
  where is_before = 0
  group by edge, client_service, server_service, server_port, network_transport
),

zones as (
  select edge, min(concat(client_zone, ' to ', server_zone)) as zone_pair, min(case when 'unzoned' in (client_zone, server_zone) then 0 else 1 end) as is_zoned
  from edge_end
  group by edge
),

-- What the other edges between the same zones have now.
zone_medians as (
  select z.zone_pair, count(e.srtt_us) as srtt_edges, median(e.srtt_us) as srtt_us, sum(e.segments) as segments, sum(e.retransmits) as retransmits
  from edges e
  join zones z on z.edge = e.edge
  group by z.zone_pair
),

zone_usual as (
  select
    m.zone_pair, m.srtt_edges, m.srtt_us, m.segments, m.retransmits,
    1.4826 * median(abs(e.srtt_us - m.srtt_us)) as srtt_us_deviation
  from zone_medians m
  join zones z on z.zone_pair = m.zone_pair
  join edges e on e.edge = z.edge
  group by m.zone_pair, m.srtt_edges, m.srtt_us, m.segments, m.retransmits
),

-- Losses are compared with the edge's own past if that has 1,000 segments, else with the other edges between the same zones, else with all
-- others; round trips with the past if that has five minutes of them, else between zones that are known, of five edges or more.
compared as (
  select
    e.*,
    z.zone_pair,
    u.minutes as usual_minutes,
    u.is_same_hour,
    u.connections as usual_connections,
    u.tx_bytes as usual_tx_bytes,
    u.rx_bytes as usual_rx_bytes,
    u.bytes as usual_bytes,
    u.bytes_deviation,
    u.client_rwnd_limited_us as usual_client_rwnd_limited_us,
    u.server_rwnd_limited_us as usual_server_rwnd_limited_us,
    e.retransmits / nullif(e.segments, 0) as loss,
    (e.retransmits + 1.92) / (e.segments + 3.84) as loss_middle,
    1.96 * sqrt(greatest(e.retransmits * (1.0 - e.retransmits / greatest(e.segments, 1)), 0) + 0.96) / (e.segments + 3.84) as loss_half_width,
    case
      when u.segments >= 1000 then u.retransmits / u.segments
      when v.segments - e.segments >= 1000 then (v.retransmits - e.retransmits) / (v.segments - e.segments)
      else coalesce((sum(e.retransmits) over () - e.retransmits) / nullif(sum(e.segments) over () - e.segments, 0), 0)
    end as usual_loss,
    case when u.segments >= 1000 then u.reordering_seen / u.segments else 0 end as usual_reordering,
    case
      when u.srtt_minutes >= 5 and u.is_same_hour = 1 then 'its same hours'
      when u.srtt_minutes >= 5 then 'its past'
      when z.is_zoned = 1 and v.srtt_edges > 5 then concat('others ', z.zone_pair)
      else 'nothing'
    end as compared_with,
    case when u.srtt_minutes >= 5 then u.srtt_us when z.is_zoned = 1 and v.srtt_edges > 5 then v.srtt_us end as usual_srtt_us,
    case when u.srtt_minutes >= 5 then u.srtt_us_deviation when z.is_zoned = 1 and v.srtt_edges > 5 then v.srtt_us_deviation end
      as usual_srtt_us_deviation,
    case when u.connect_minutes >= 5 then u.connect_us end as usual_connect_us,
    u.connect_us_deviation as usual_connect_us_deviation
  from edges e
  join zones z on z.edge = e.edge
  join zone_usual v on v.zone_pair = z.zone_pair
  left join edge_usual u on u.edge = e.edge
),

-- How likely so many retransmissions are by chance where the usual share holds, at most (Chernoff's bound of the binomial tail), as a
-- logarithm. No share is taken to be below 1 in 2,000.
chances as (
  select
    c.*,
    case
      when segments > 0 and loss > greatest(usual_loss, 0.0005)
      then -segments * (
        loss * ln(loss / greatest(usual_loss, 0.0005))
        + case when loss < 1 then (1 - loss) * ln((1 - loss) / (1 - greatest(usual_loss, 0.0005))) else 0 end)
      else 0.0
    end as loss_chance
  from compared c
),

-- Benjamini and Hochberg's rule over all edges: of those that it finds, one in 1,000 is expected to be found by chance.
ranked as (
  select c.*, row_number() over (order by loss_chance, edge) as loss_rank, count(*) over () as tested
  from chances c
),

found as (
  select
    r.*,
    max(case when loss_chance <= ln(1e-3 * loss_rank / tested) then loss_rank else 0 end) over () as found_ranks
  from ranked r
),

-- An edge does less if it has under 60 % of its usual bytes, or new connections, and that is beyond three deviations; or if attempts stay
-- unanswered. That it connects less is told by the same hours of the week alone: others ask as they do.
counted as (
  select
    f.*,
    case when unanswered >= 3 and unanswered >= 0.05 * attempts then 1 else 0 end as is_unanswered,
    case when usual_connections is null or connections < 0.7 * minutes * usual_connections then 1 else 0 end as is_asked_less,
    case
      when usual_minutes >= 5 and usual_bytes > 0
      then case
        when unanswered >= 3 and unanswered >= 0.05 * attempts then 1
        when is_same_hour = 0 and connections < 0.7 * minutes * usual_connections then 0
        when (tx_bytes + rx_bytes) / minutes < least(0.6 * usual_bytes, usual_bytes - 3 * bytes_deviation / sqrt(minutes)) then 1
        when connections < least(0.6 * minutes * usual_connections, minutes * usual_connections - 3 * sqrt(minutes * usual_connections))
        then 1
        else 0
      end
    end as is_below_usual
  from found f
),

-- Where four of five edges do less, of twenty or more, it is a quiet hour.
quiet as (
  select case when count(is_below_usual) >= 20 and sum(is_below_usual) >= 0.8 * count(is_below_usual) then 1 else 0 end as is_quiet
  from counted
),

-- Below one half in 100 nothing is held up. Round trips are longer if so is connecting, and not by seconds that a queue adds: else what is
-- late is not the network.
final as (
  select
    c.*,
    case when segments >= 1000 and loss > 0.005 and loss > 2 * usual_loss and loss_rank <= found_ranks then 1 else 0 end as is_lossy,
    case
      when segments >= 1000 and reordering_seen >= 10 and reordering_seen > 0.005 * segments
        and reordering_seen > 5 * usual_reordering * segments
      then 1 else 0
    end as is_reordered,
    case
      when srtt_samples >= 10 and srtt_us > 1.5 * usual_srtt_us and srtt_us > usual_srtt_us + 1000
        and srtt_us > usual_srtt_us + 4 * usual_srtt_us_deviation
        and (
          usual_connect_us is null
          or (connect_samples < 10 and srtt_us > 3 * usual_srtt_us and srtt_us > usual_srtt_us + 5000)
          or (connect_samples >= 10 and connect_us > 1.5 * usual_connect_us and connect_us > usual_connect_us + 1000
            and connect_us > usual_connect_us + 4 * usual_connect_us_deviation
            and connect_us - usual_connect_us < 50 * (srtt_us - usual_srtt_us)))
      then 1 else 0
    end as is_slow,
    case when srtt_samples >= 10 and usual_srtt_us is not null then 1 else 0 end as is_slow_known,
    case when is_quiet = 1 and is_asked_less = 1 and is_unanswered = 0 then 0 * is_below_usual else is_below_usual end as is_less
  from counted c
  cross join quiet
)

select * from final
