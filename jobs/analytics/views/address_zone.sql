-- One row per address of a conversation, now or in the history, and stretch of time in which it is in a zone.

with

addresses as (
  select client_ip as ip from addressed
  union
  select server_ip as ip from addressed
  union
  select client_ip as ip from history_flow
  union
  select server_ip as ip from history_flow
),

-- No two rows of zone_range have an address and time in common.
final as (
  select a.ip, r.zone, r.valid_from, r.valid_to
  from addresses a
  join zone_range r on a.ip between r.range_low and r.range_high
)

select * from final
