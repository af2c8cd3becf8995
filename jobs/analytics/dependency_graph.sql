-- One row per client service, server service, server port and transport.

with

-- Round-trip times are the client's, weighted by its samples, and the server's where the client does not report.
final as (
  select
    client_service, server_service, server_port, network_transport,
    connections, failed_connections, tx_bytes, rx_bytes, retransmits,
    cast(round(srtt_us_sum / nullif(srtt_samples, 0)) as bigint) as srtt_us
  from named_edge
)

select * from final
order by tx_bytes + rx_bytes desc, client_service, server_service, server_port, network_transport
