-- One row per source node and target node: how much more it sends each day, by the line through each day's p95.

with

covered_days as (
  select unix_date(cast(minute as date)) as day_number, count(distinct minute) as minutes
  from named_conversation
  group by unix_date(cast(minute as date))
),

pair_minutes as (
  select source_node, target_node, minute, sum(bits) as bits
  from node_demand
  where source_node is not null and target_node is not null
  group by source_node, target_node, minute
),

ranked as (
  select
    m.source_node, m.target_node, d.day_number, d.minutes, m.bits,
    row_number() over (partition by m.source_node, m.target_node, d.day_number order by m.bits desc) as rank
  from pair_minutes m
  join covered_days d on d.day_number = unix_date(cast(m.minute as date))
),

-- The rate that 95 of 100 minutes of a day stay within; minutes without a row are minutes of 0.
day_rates as (
  select
    source_node, target_node, day_number,
    coalesce(max(case when rank > minutes - ceil(0.95 * minutes) then bits end), 0) / 60.0 as bps
  from ranked
  group by source_node, target_node, day_number
),

pairs as (
  select distinct source_node, target_node from day_rates
),

-- Days without a row are days of 0. A line through fewer than three days says nothing.
final as (
  select
    p.source_node, p.target_node,
    max(d.day_number) as last_day,
    case when count(*) >= 3 then regr_slope(coalesce(r.bps, 0), d.day_number) end as bps_per_day
  from pairs p
  cross join covered_days d
  left join day_rates r on r.source_node = p.source_node and r.target_node = p.target_node and r.day_number = d.day_number
  group by p.source_node, p.target_node
)

select * from final
