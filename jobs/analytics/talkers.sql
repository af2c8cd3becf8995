-- One row per service, those with the most traffic first.

with

-- A conversation counts at either end; one of a service with itself once.
ends as (
  select minute, client_service as service, server_service as peer, tx_bytes as sent_bytes, rx_bytes as received_bytes, connections
  from named_conversation
  union all
  select minute, server_service as service, client_service as peer, rx_bytes as sent_bytes, tx_bytes as received_bytes, connections
  from named_conversation
  where server_service <> client_service
),

minutes as (
  select service, minute, sum(sent_bytes + received_bytes) as bytes
  from ends
  group by service, minute
),

busiest as (
  select service, minute, bytes, row_number() over (partition by service order by bytes desc, minute) as rank from minutes
),

-- Minutes in which anybody spoke: those in which a service was silent count for its mean.
covered as (
  select count(distinct minute) as minutes from named_conversation
),

everything as (
  select sum(tx_bytes + rx_bytes) as bytes from named_conversation
),

services as (
  select
    service,
    count(distinct case when peer <> service then peer end) as peers,
    count(distinct minute) as active_minutes,
    sum(sent_bytes) as sent_bytes,
    sum(received_bytes) as received_bytes,
    sum(connections) as connections
  from ends
  group by service
),

-- The mean is over the covered minutes; a peak of many times the mean is traffic in bursts. The share is of all bytes of the
-- network, so that shares of both ends of a conversation do not add up to one.
final as (
  select
    s.service, s.peers, s.active_minutes,
    cast(s.sent_bytes as bigint) as sent_bytes,
    cast(s.received_bytes as bigint) as received_bytes,
    round(100.0 * (s.sent_bytes + s.received_bytes) / nullif(e.bytes, 0), 2) as share_percent,
    cast(s.connections as bigint) as connections,
    round(s.connections / (60.0 * c.minutes), 3) as connections_per_second,
    cast(round((s.sent_bytes + s.received_bytes) / (60.0 * c.minutes)) as bigint) as mean_bytes_per_second,
    cast(round(b.bytes / 60.0) as bigint) as peak_bytes_per_second,
    round(b.bytes / nullif((s.sent_bytes + s.received_bytes) / (1.0 * c.minutes), 0), 2) as peak_to_mean,
    b.minute as peak_minute
  from services s
  join busiest b on b.service = s.service and b.rank = 1
  cross join covered c
  cross join everything e
)

select * from final
order by sent_bytes + received_bytes desc, service
