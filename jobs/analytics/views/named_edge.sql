-- One row per client service, server service, server port and transport: what their conversations add up to.

with

final as (
  select
    client_service, server_service, server_port, network_transport,
    cast(sum(connections) as bigint) as connections,
    cast(sum(failed_refused + failed_timeout + failed_unreachable + failed_other) as bigint) as failed_connections,
    cast(sum(tx_bytes) as bigint) as tx_bytes,
    cast(sum(rx_bytes) as bigint) as rx_bytes,
    cast(sum(client_retransmits + server_retransmits) as bigint) as retransmits,
    cast(sum(srtt_us_sum) as bigint) as srtt_us_sum,
    cast(sum(srtt_samples) as bigint) as srtt_samples,
    cast(sum(connect_us_sum) as bigint) as connect_us_sum,
    cast(sum(connect_samples) as bigint) as connect_samples
  from named_conversation
  group by client_service, server_service, server_port, network_transport
)

select * from final
