-- One row per failure and link direction that it loads more, the ten worst failures of each, and per failure that cuts demand off.

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

-- An overload or a cut is told however many there are.
final as (
  select
    failure,
    case when from_node is null then 'cut off' when utilisation >= 1 then 'overload' else 'more load' end as effect,
    from_node, to_node,
    cast(capacity_bps as bigint) as capacity_bps,
    cast(round(healthy_bps) as bigint) as healthy_bps,
    cast(round(failed_bps) as bigint) as failed_bps,
    round(100.0 * healthy_bps / capacity_bps, 2) as healthy_percent,
    round(100.0 * utilisation, 2) as failed_percent,
    rank_for_link,
    services
  from ranked
  where from_node is null or utilisation >= 1 or rank_for_link <= 10
)

select * from final
order by
  case effect when 'cut off' then 0 when 'overload' then 1 else 2 end,
  coalesce(failed_percent, 0) desc, healthy_bps desc, failure, from_node, to_node
