-- One row per transport, server address and server port of conversations whose server no report named.

with

final as (
  select distinct network_transport, server_address, server_port
  from conversation
  where server_name = ''
)

select * from final
