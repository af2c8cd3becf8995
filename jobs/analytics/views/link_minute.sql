-- One row per link, direction and minute: what the demand puts on it, split over equal ways.

with

final as (
  select
    concat(s.from_node, ' -> ', s.to_node) as subject,
    d.minute,
    sum(d.bits * s.share) as bits,
    max(s.capacity_bps) as capacity_bps
  from node_demand d
  join link_share s on s.source_node = d.source_node and s.target_node = d.target_node
  group by s.from_node, s.to_node, d.minute
)

select * from final
