-- One row per client zone, server zone, server port and transport that was seen in the history.

with

final as (
  select distinct
    coalesce(c.zone, 'unzoned') as client_zone, coalesce(s.zone, 'unzoned') as server_zone, h.server_port, h.network_transport
  from history_flow h
  left join address_zone c on c.ip = h.client_ip and h.window_start >= c.valid_from and h.window_start < c.valid_to
  left join address_zone s on s.ip = h.server_ip and h.window_start >= s.valid_from and h.window_start < s.valid_to
)

select * from final
