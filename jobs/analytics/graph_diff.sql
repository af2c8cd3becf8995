-- One row per client service, server service, server port and transport that differs between two times of one length.

with

edges as (
  select
    n.client_service, n.server_service, n.server_port, n.network_transport,
    cast(sum(case when n.minute < t.before_end then n.connections else 0 end) as bigint) as before_connections,
    cast(sum(case when n.minute < t.before_end then 0 else n.connections end) as bigint) as after_connections,
    cast(sum(case when n.minute < t.before_end then n.tx_bytes + n.rx_bytes else 0 end) as bigint) as before_bytes,
    cast(sum(case when n.minute < t.before_end then 0 else n.tx_bytes + n.rx_bytes end) as bigint) as after_bytes,
    cast(sum(case when n.minute < t.before_end then n.client_retransmits + n.server_retransmits else 0 end) as bigint)
      as before_retransmits,
    cast(sum(case when n.minute < t.before_end then 0 else n.client_retransmits + n.server_retransmits end) as bigint)
      as after_retransmits,
    sum(case when n.minute < t.before_end then n.tx_segments + n.rx_segments else 0 end) as before_segments,
    sum(case when n.minute < t.before_end then 0 else n.tx_segments + n.rx_segments end) as after_segments,
    count(case when n.minute < t.before_end then 1 end) as before_rows,
    count(case when n.minute < t.before_end then null else 1 end) as after_rows
  from named_conversation n
  cross join compared_time t
  group by n.client_service, n.server_service, n.server_port, n.network_transport
),

-- How far apart the two shares of retransmissions are, in standard errors of their difference; of fewer than 1,000 segments in
-- either time nothing is said.
compared as (
  select
    e.*,
    case
      when before_segments < 1000 or after_segments < 1000 or before_retransmits + after_retransmits = 0 then 0.0
      else (after_retransmits / after_segments - before_retransmits / before_segments) / sqrt(
        greatest(
          (before_retransmits + after_retransmits) / (before_segments + after_segments)
            * (1.0 - (before_retransmits + after_retransmits) / (before_segments + after_segments)),
          1e-12
        ) * (1.0 / before_segments + 1.0 / after_segments)
      )
    end as retransmits_distance
  from edges e
),

-- A change of rate is one of more than three times; one of losses is of more than four standard errors, as many edges are tried.
final as (
  select
    case
      when before_rows = 0 then 'added'
      when after_rows = 0 then 'removed'
      when abs(retransmits_distance) > 4 then case when retransmits_distance > 0 then 'more losses' else 'fewer losses' end
      when after_bytes > 3 * before_bytes then 'more traffic'
      when before_bytes > 3 * after_bytes then 'less traffic'
      else 'same'
    end as change,
    client_service, server_service, server_port, network_transport, before_connections, after_connections,
    before_bytes, after_bytes, before_retransmits, after_retransmits
  from compared
  where
    before_rows = 0 or after_rows = 0 or abs(retransmits_distance) > 4
    or after_bytes > 3 * before_bytes or before_bytes > 3 * after_bytes
)

select * from final
order by change, abs(after_bytes - before_bytes) desc, client_service, server_service, server_port, network_transport
