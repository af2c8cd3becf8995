-- One row per edge that was there before the time that is asked about: what is usual for it, by minute.

with

-- The same hours of the week, where there are five minutes of them, else all that was before.
earlier as (
  select
    m.*,
    sum(is_same_hour) over (partition by edge) as same_hour_minutes
  from (
    select b.*, case when h.hour_of_week is null then 0 else 1 end as is_same_hour
    from edge_minute b
    left join (select distinct hour_of_week from edge_minute where is_before = 0) h on h.hour_of_week = b.hour_of_week
    where b.is_before = 1
  ) m
),

compared as (
  select
    edge,
    case when same_hour_minutes >= 5 then 1 else 0 end as is_same_hour,
    connections, tx_bytes, rx_bytes, tx_bytes + rx_bytes as bytes, segments, retransmits, reordering_seen,
    client_rwnd_limited_us, server_rwnd_limited_us,
    srtt_us_sum / nullif(srtt_samples, 0) as srtt_us,
    connect_us_sum / nullif(connect_samples, 0) as connect_us
  from earlier
  where same_hour_minutes < 5 or is_same_hour = 1
),

medians as (
  select
    edge,
    count(*) as minutes,
    max(is_same_hour) as is_same_hour,
    sum(segments) as segments,
    sum(retransmits) as retransmits,
    sum(reordering_seen) as reordering_seen,
    median(connections) as connections,
    median(tx_bytes) as tx_bytes,
    median(rx_bytes) as rx_bytes,
    median(bytes) as bytes,
    median(client_rwnd_limited_us) as client_rwnd_limited_us,
    median(server_rwnd_limited_us) as server_rwnd_limited_us,
    count(srtt_us) as srtt_minutes,
    median(srtt_us) as srtt_us,
    count(connect_us) as connect_minutes,
    median(connect_us) as connect_us
  from compared
  group by edge
),

-- 1.4826 times the median absolute deviation is what the standard deviation would be of values that are spread normally.
deviations as (
  select
    m.edge,
    1.4826 * median(abs(c.bytes - m.bytes)) as bytes_deviation,
    1.4826 * median(abs(c.srtt_us - m.srtt_us)) as srtt_us_deviation,
    1.4826 * median(abs(c.connect_us - m.connect_us)) as connect_us_deviation
  from compared c
  join medians m on m.edge = c.edge
  group by m.edge
),

final as (
  select m.*, d.bytes_deviation, d.srtt_us_deviation, d.connect_us_deviation
  from medians m
  join deviations d on d.edge = m.edge
)

select * from final
