-- One row per minute, client service, server service, server port and transport: what the time that is asked about has, and what was
-- before it.

with

-- What the servers say of conversations that several client services share, of which named_conversation says what each client saw.
served as (
  select
    date_trunc('minute', window_start) as minute, network_transport, client_address, server_address, server_port,
    sum(retransmits) as retransmits,
    sum(reordering_seen) as reordering_seen,
    sum(busy_us) as busy_us,
    sum(rwnd_limited_us) as rwnd_limited_us,
    sum(sndbuf_limited_us) as sndbuf_limited_us
  from asked_flow
  where observer_role = 'server' and coalesce(flow_source, '') <> 'sflow'
  group by date_trunc('minute', window_start), network_transport, client_address, server_address, server_port
),

-- Each has of it what it has of the received bytes.
shared as (
  select
    n.*,
    case when count(*) over conversation > 1 then n.rx_bytes / nullif(sum(n.rx_bytes) over conversation, 0) end as share
  from named_conversation n
  window conversation as (partition by n.minute, n.network_transport, n.client_address, n.server_address, n.server_port)
),

timed as (
  select
    n.*,
    case when share is null then 0 else share * s.retransmits end as shared_retransmits,
    case when share is null then 0 else share * s.reordering_seen end as shared_reordering_seen,
    case when share is null then 0 else share * s.busy_us end as shared_busy_us,
    case when share is null then 0 else share * s.rwnd_limited_us end as shared_rwnd_limited_us,
    case when share is null then 0 else share * s.sndbuf_limited_us end as shared_sndbuf_limited_us,
    case when a.asked_from is not null and n.minute < a.asked_from then 1 else 0 end as is_before,
    unix_date(cast(n.minute as date)) % 7 * 24 + extract(hour from n.minute) as hour_of_week
  from shared n
  cross join asked_time a
  left join served s
    on s.minute = n.minute and s.network_transport = n.network_transport and s.client_address = n.client_address
    and s.server_address = n.server_address and s.server_port = n.server_port
),

final as (
  select
    concat_ws(chr(10), client_service, server_service, cast(server_port as string), network_transport) as edge,
    client_service, server_service, server_port, network_transport, minute,
    max(is_before) as is_before,
    max(hour_of_week) as hour_of_week,
    sum(connections) as connections,
    sum(failed_refused) as failed_refused,
    sum(failed_timeout + failed_other) as unanswered,
    sum(failed_unreachable) as failed_unreachable,
    sum(reset_connections) as reset_connections,
    sum(tx_bytes) as tx_bytes,
    sum(rx_bytes) as rx_bytes,
    sum(tx_segments + rx_segments) as segments,
    round(sum(client_retransmits + server_retransmits + coalesce(shared_retransmits, 0))) as retransmits,
    round(sum(reordering_seen + coalesce(shared_reordering_seen, 0))) as reordering_seen,
    sum(client_busy_us) as client_busy_us,
    sum(client_rwnd_limited_us) as client_rwnd_limited_us,
    sum(client_sndbuf_limited_us) as client_sndbuf_limited_us,
    round(sum(server_busy_us + coalesce(shared_busy_us, 0))) as server_busy_us,
    round(sum(server_rwnd_limited_us + coalesce(shared_rwnd_limited_us, 0))) as server_rwnd_limited_us,
    round(sum(server_sndbuf_limited_us + coalesce(shared_sndbuf_limited_us, 0))) as server_sndbuf_limited_us,
    sum(srtt_us_sum) as srtt_us_sum,
    sum(srtt_samples) as srtt_samples,
    sum(connect_us_sum) as connect_us_sum,
    sum(connect_samples) as connect_samples,
    max(case when seen_by in ('both', 'client') then 1 else 0 end) as is_seen_by_client
  from timed
  group by client_service, server_service, server_port, network_transport, minute
)

select * from final
