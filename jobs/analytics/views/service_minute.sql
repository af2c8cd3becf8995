-- One row per service and minute: what came to it and went from it.

with

ends as (
  select minute, client_service as service, tx_bytes + rx_bytes as bytes from named_conversation
  union all
  select minute, server_service as service, tx_bytes + rx_bytes as bytes from named_conversation where server_service <> client_service
),

final as (
  select service as subject, minute, sum(bytes) * 8.0 as bits, cast(null as double) as capacity_bps
  from ends
  group by service, minute
)

select * from final
