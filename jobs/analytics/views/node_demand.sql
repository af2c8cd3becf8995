-- One row per minute, source node, target node, client service and server service: what had to go from one node to the other. A node
-- is null where the topology does not know the address.

with

directions as (
  select minute, client_ip as source_ip, server_ip as target_ip, client_service, server_service, tx_bytes as bytes
  from named_conversation
  union all
  select minute, server_ip as source_ip, client_ip as target_ip, client_service, server_service, rx_bytes as bytes
  from named_conversation
),

final as (
  select
    d.minute, s.node as source_node, t.node as target_node, d.client_service, d.server_service,
    cast(sum(d.bytes) * 8 as bigint) as bits
  from directions d
  left join address_node s on s.ip = d.source_ip and d.minute >= s.valid_from and d.minute < s.valid_to
  left join address_node t on t.ip = d.target_ip and d.minute >= t.valid_from and d.minute < t.valid_to
  where d.bytes > 0
  group by d.minute, s.node, t.node, d.client_service, d.server_service
)

select * from final
