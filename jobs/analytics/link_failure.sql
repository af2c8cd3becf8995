-- One row per failure and link direction that it loads more, the ten worst failures of each, per failure that cuts demand off, and, with
-- the failure "none", per link direction that is overloaded or unevenly loaded as things are.

with

ranked as (
  select
    f.*,
    failed_bps / capacity_bps as utilisation,
    case
      when from_node is not null
      then row_number() over (partition by from_node, to_node order by failed_bps desc, case when failure = 'none' then 1 else 0 end, failure)
    end as rank_for_link
  from failure_impact f
),

-- An overload or a cut is told however many there are. Full more than ten years away is not told.
final as (
  select
    failure,
    case when from_node is null then 'cut off' when utilisation >= 1 then 'overload' when failure = 'none' then 'uneven' else 'more load' end as effect,
    tier,
    from_node, to_node,
    cast(capacity_bps as bigint) as capacity_bps,
    cast(round(healthy_bps) as bigint) as healthy_bps,
    cast(round(failed_bps) as bigint) as failed_bps,
    cast(round(capacity_bps - failed_bps) as bigint) as headroom_bps,
    round(100.0 * healthy_bps / capacity_bps, 2) as healthy_percent,
    round(100.0 * utilisation, 2) as failed_percent,
    round(100.0 * hashed_bps / capacity_bps, 2) as hashed_percent,
    round(hashed_bps / failed_bps, 2) as imbalance,
    elephant_flows,
    cast(round(growth_bps_per_day) as bigint) as growth_bps_per_day,
    case
      when utilisation >= 1 then date_from_unix_date(cast(last_day as int))
      when growth_bps_per_day > 0 and (capacity_bps - failed_bps) / growth_bps_per_day < 3650
      then date_from_unix_date(cast(last_day + ceil((capacity_bps - failed_bps) / growth_bps_per_day - 1e-6) as int))
    end as full,
    rank_for_link,
    services
  from ranked
  where from_node is null or utilisation >= 1 or failure = 'none' or rank_for_link <= 10
)

select * from final
order by
  case effect when 'cut off' then 0 when 'overload' then 1 when 'more load' then 2 else 3 end,
  coalesce(tier, 1000000), coalesce(failed_percent, 0) desc, healthy_bps desc, failure, from_node, to_node
