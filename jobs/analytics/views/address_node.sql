-- One row per address of a conversation and stretch of time in which it is attached to a node of the topology.

with

addresses as (
  select client_ip as ip from addressed
  union
  select server_ip as ip from addressed
),

-- No two rows of node_range have an address and time in common.
final as (
  select a.ip, r.node, r.valid_from, r.valid_to
  from addresses a
  join node_range r on a.ip between r.range_low and r.range_high
)

select * from final
