-- One row per row of named_conversation, with the zone of each end at that minute.

with

final as (
  select n.*, coalesce(c.zone, 'unzoned') as client_zone, coalesce(s.zone, 'unzoned') as server_zone
  from named_conversation n
  left join address_zone c on c.ip = n.client_ip and n.minute >= c.valid_from and n.minute < c.valid_to
  left join address_zone s on s.ip = n.server_ip and n.minute >= s.valid_from and n.minute < s.valid_to
)

select * from final
