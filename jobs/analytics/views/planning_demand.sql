-- One row per source node and target node: the rate that 95 of 100 minutes stay within.

with

covered as (
  select count(distinct minute) as minutes from named_conversation
),

rates as (
  select
    source_node, target_node, bits,
    row_number() over (partition by source_node, target_node order by bits desc) as rank
  from (
    select source_node, target_node, minute, sum(bits) as bits
    from node_demand
    where source_node is not null and target_node is not null
    group by source_node, target_node, minute
  ) minutes
),

-- Minutes without a row are minutes of 0.
final as (
  select source_node, target_node, coalesce(max(case when rank > minutes - ceil(0.95 * minutes) then bits end), 0) / 60.0 as bps
  from rates
  cross join covered
  group by source_node, target_node
)

select * from final
