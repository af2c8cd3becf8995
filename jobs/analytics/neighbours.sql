-- One row per client service, server service, server port and transport on the ways from a service, or to it.

with

-- An edge's distance is the number of steps from the service to its far end.
final as (
  select
    r.distance,
    n.client_service, n.server_service, n.server_port, n.network_transport,
    cast(sum(n.connections) as bigint) as connections,
    cast(sum(n.failed_refused + n.failed_timeout + n.failed_unreachable + n.failed_other) as bigint) as failed_connections,
    cast(sum(n.tx_bytes) as bigint) as tx_bytes,
    cast(sum(n.rx_bytes) as bigint) as rx_bytes,
    cast(sum(n.client_retransmits + n.server_retransmits) as bigint) as retransmits,
    cast(round(sum(n.srtt_us_sum) / nullif(sum(n.srtt_samples), 0)) as bigint) as srtt_us,
    cast(round(sum(n.connect_us_sum) / nullif(sum(n.connect_samples), 0)) as bigint) as connect_us
  from named_conversation n
  join reached_edge r on r.client_service = n.client_service and r.server_service = n.server_service
  group by r.distance, n.client_service, n.server_service, n.server_port, n.network_transport
)

select * from final
order by distance, tx_bytes + rx_bytes desc, client_service, server_service, server_port, network_transport
