-- One row per minute, transport, client address, server address, server port, and client service of its own report; of
-- conversations that no client's host reports, per server service.

with

found as (
  select * from whole_conversation
  union all
  select * from shared_conversation
),

-- Sums are as wide as the columns of conversation_1m; what no measurement can give is cut to what they hold.
final as (
  select
    minute,
    network_transport, client_ip, server_ip, server_port, client_address, server_address, client_name, server_name, seen_by,
    cast(least(failed_refused, 9223372036854775807) as bigint) as failed_refused,
    cast(least(failed_timeout, 9223372036854775807) as bigint) as failed_timeout,
    cast(least(failed_unreachable, 9223372036854775807) as bigint) as failed_unreachable,
    cast(least(failed_other, 9223372036854775807) as bigint) as failed_other,
    cast(least(reset_connections, 9223372036854775807) as bigint) as reset_connections,
    cast(least(timed_out_connections, 9223372036854775807) as bigint) as timed_out_connections,
    cast(least(connections, 9223372036854775807) as bigint) as connections,
    cast(least(tx_bytes, 9223372036854775807) as bigint) as tx_bytes,
    cast(least(rx_bytes, 9223372036854775807) as bigint) as rx_bytes,
    cast(least(tx_segments, 9223372036854775807) as bigint) as tx_segments,
    cast(least(rx_segments, 9223372036854775807) as bigint) as rx_segments,
    cast(least(client_retransmits, 9223372036854775807) as bigint) as client_retransmits,
    cast(least(server_retransmits, 9223372036854775807) as bigint) as server_retransmits,
    cast(least(reordering_seen, 9223372036854775807) as bigint) as reordering_seen,
    cast(least(client_busy_us, 9223372036854775807) as bigint) as client_busy_us,
    cast(least(client_rwnd_limited_us, 9223372036854775807) as bigint) as client_rwnd_limited_us,
    cast(least(client_sndbuf_limited_us, 9223372036854775807) as bigint) as client_sndbuf_limited_us,
    cast(least(server_busy_us, 9223372036854775807) as bigint) as server_busy_us,
    cast(least(server_rwnd_limited_us, 9223372036854775807) as bigint) as server_rwnd_limited_us,
    cast(least(server_sndbuf_limited_us, 9223372036854775807) as bigint) as server_sndbuf_limited_us,
    cast(least(srtt_us_sum, 9223372036854775807) as bigint) as srtt_us_sum,
    cast(least(srtt_samples, 9223372036854775807) as bigint) as srtt_samples,
    cast(least(server_srtt_us_sum, 9223372036854775807) as bigint) as server_srtt_us_sum,
    cast(least(server_srtt_samples, 9223372036854775807) as bigint) as server_srtt_samples,
    min_rtt_us,
    cast(least(connect_us_sum, 9223372036854775807) as bigint) as connect_us_sum,
    cast(least(connect_samples, 9223372036854775807) as bigint) as connect_samples,
    connect_us_max
  from found
)

select * from final
