-- One row per address of a conversation and stretch of time in which a configured range gives it a name.

with

addresses as (
  select client_address as address, client_ip as ip from addressed
  union
  select server_address as address, server_ip as ip from addressed
),

-- Ranges that hold one another are cut apart before they come here: no two rows of name_range have an address and time in common.
final as (
  select a.address, r.service, r.valid_from, r.valid_to
  from addresses a
  join name_range r on a.ip between r.range_low and r.range_high
)

select * from final
