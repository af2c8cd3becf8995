-- One row per service, those first that most depends on.

with

ends as (
  select client_service as service, server_service as asks, cast(null as string) as asked_by, tx_bytes + rx_bytes as bytes, connections
  from named_edge
  union all
  select server_service as service, null as asks, client_service as asked_by, tx_bytes + rx_bytes as bytes, connections
  from named_edge
),

-- A service that asks itself is no neighbour of its own.
degrees as (
  select
    service,
    count(distinct case when asked_by <> service then asked_by end) as fan_in,
    count(distinct case when asks <> service then asks end) as fan_out,
    cast(sum(case when asked_by is not null then bytes else 0 end) as bigint) as asked_bytes,
    cast(sum(case when asks is not null then bytes else 0 end) as bigint) as asks_bytes,
    cast(sum(case when asked_by is not null then connections else 0 end) as bigint) as asked_connections
  from ends
  group by service
),

-- The graph step's measures: docs/reference/answers.md says what each is.
final as (
  select
    d.service, d.fan_in, d.fan_out, d.asked_bytes, d.asks_bytes, d.asked_connections,
    round(m.page_rank, 6) as page_rank,
    case when m.is_cut_point = 1 then 'yes' else 'no' end as cut_point,
    m.cycle_services, m.cycle_with, m.blast_services, m.blast_bytes
  from degrees d
  join service_measure m on m.service = d.service
)

select * from final
order by blast_services desc, fan_in desc, asked_bytes desc, service
