-- One row per client service, server service, server port and transport on the ways from a service, or to it.

with

-- An edge's distance is the number of steps from the service to its far end.
final as (
  select
    r.distance,
    e.client_service, e.server_service, e.server_port, e.network_transport,
    e.connections, e.failed_connections, e.tx_bytes, e.rx_bytes, e.retransmits,
    cast(round(e.srtt_us_sum / nullif(e.srtt_samples, 0)) as bigint) as srtt_us,
    cast(round(e.connect_us_sum / nullif(e.connect_samples, 0)) as bigint) as connect_us
  from named_edge e
  join reached_edge r on r.client_service = e.client_service and r.server_service = e.server_service
)

select * from final
order by distance, tx_bytes + rx_bytes desc, client_service, server_service, server_port, network_transport
