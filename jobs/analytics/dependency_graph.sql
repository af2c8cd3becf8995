-- One row per client service, server service, server port and transport.

with

-- Round-trip times are the client's, weighted by its samples, and the server's where the client does not report.
final as (
  select
    client_service, server_service, server_port, network_transport,
    cast(sum(connections) as bigint) as connections,
    cast(sum(failed_refused + failed_timeout + failed_unreachable + failed_other) as bigint) as failed_connections,
    cast(sum(tx_bytes) as bigint) as tx_bytes,
    cast(sum(rx_bytes) as bigint) as rx_bytes,
    cast(sum(client_retransmits + server_retransmits) as bigint) as retransmits,
    cast(round(sum(srtt_us_sum) / nullif(sum(srtt_samples), 0)) as bigint) as srtt_us
  from named_conversation
  group by client_service, server_service, server_port, network_transport
)

select * from final
order by tx_bytes + rx_bytes desc, client_service, server_service, server_port, network_transport
