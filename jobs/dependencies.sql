-- One row per minute, transport, client, server, server port, topic partition and revision: what `edge_1m` must hold, found from `flow`.
-- The job finds the same from the topic, row by row; which offsets each revision is made of is taken from the table.

with

-- Revisions of a minute whose offsets begin at the same place: each holds what its longer range changes of the one before.
ranges as (
  select
    *,
    row_number() over (order by src_topic, src_partition, window_start, src_offset_from, src_offset_to) as range_id,
    row_number() over (partition by src_topic, src_partition, window_start, src_offset_from order by src_offset_to) as place
  from (
    select distinct src_topic, src_partition, window_start, src_offset_from, src_offset_to, revision
    from edge_1m
  ) revisions
),

-- Rows of the minute and range. An end of unknown role counts as the client's, as it does at the collector.
told_rows as (
  select
    r.range_id,
    case when f.flow_source = 'sflow' then 'estimate' when f.observer_role = 'server' then 'server' else 'client' end as seen_by,
    coalesce(f.client_service_name, '') as client_name,
    coalesce(f.server_service_name, '') as server_name,
    f.*
  from flow f
  join ranges r
    on r.src_topic = f.src_topic and r.src_partition = f.src_partition and r.window_start = date_trunc('minute', f.window_start)
    and f.src_offset >= r.src_offset_from and f.src_offset < r.src_offset_to
),

-- Whoever tells of a conversation has a view of it: our agents at either end, and each other sFlow agent on its way, which
-- estimates.
view_rows as (
  select
    *,
    case when seen_by = 'estimate' then observer_address else '' end as estimator,
    case when seen_by = 'server' then '' else client_name end as view_client_name,
    case when seen_by = 'client' then '' else server_name end as view_server_name
  from told_rows
),

views as (
  select
    range_id, network_transport, client_ip, server_ip, server_port, seen_by, estimator, view_client_name, view_server_name,
    max(client_name) as told_client_name,
    max(server_name) as told_server_name,
    any_value(client_address) as client_address,
    any_value(server_address) as server_address,
    sum(connections_opened) as connections_opened, sum(connections_closed) as connections_closed,
    sum(bytes_sent) as bytes_sent, sum(bytes_received) as bytes_received, sum(segments_sent) as segments_sent,
    sum(segments_received) as segments_received, sum(retransmits) as retransmits,
    sum(connections_reset) as connections_reset, sum(connections_timed_out) as connections_timed_out,
    sum(connections_failed_refused) as connections_failed_refused,
    sum(connections_failed_timeout) as connections_failed_timeout,
    sum(connections_failed_unreachable) as connections_failed_unreachable,
    sum(connections_failed_other) as connections_failed_other, sum(srtt_us_sum) as srtt_us_sum,
    sum(srtt_samples) as srtt_samples, sum(connect_us_sum) as connect_us_sum, sum(connect_samples) as connect_samples,
    min(srtt_us_min) as srtt_us_min, max(srtt_us_max) as srtt_us_max, max(connect_us_max) as connect_us_max,
    count(*) as flow_rows,
    row_number() over () as view_id
  from view_rows
  group by range_id, network_transport, client_ip, server_ip, server_port, seen_by, estimator, view_client_name, view_server_name
),

-- What our agents counted is exact: of such a conversation no estimate counts. Of any other the one sFlow agent counts that
-- estimates most: the switches on its way see the same packets.
estimators as (
  select
    range_id, network_transport, client_ip, server_ip, server_port, estimator,
    row_number() over (
      partition by range_id, network_transport, client_ip, server_ip, server_port
      order by case when estimator = '' then 0 else 1 end, least(sum(bytes_sent + bytes_received), 9007199254740991) desc, estimator
    ) as rank
  from views
  group by range_id, network_transport, client_ip, server_ip, server_port, estimator
),

counted as (
  select v.*
  from views v
  join estimators e
    on e.range_id = v.range_id and e.network_transport = v.network_transport
    and e.client_ip = v.client_ip and e.server_ip = v.server_ip and e.server_port = v.server_port and e.estimator = v.estimator
  where e.rank = 1
),

-- An estimate is of packets, each once, whichever end its agent took for its own: it stands where a client's view would.
clients as (
  select *, count(*) over (partition by range_id, network_transport, client_ip, server_ip, server_port) as clients
  from counted
  where seen_by <> 'server'
),

-- What the servers saw of a conversation. The service that answers is the one with the most connections.
servers_ranked as (
  select
    *,
    row_number() over (
      partition by range_id, network_transport, client_ip, server_ip, server_port
      order by case when view_server_name = '' then 1 else 0 end, least(connections_opened, 9007199254740991) desc, view_server_name
    ) as rank
  from counted
  where seen_by = 'server'
),

servers as (
  select
    range_id, network_transport, client_ip, server_ip, server_port,
    max(case when rank = 1 then view_server_name end) as server_name,
    sum(connections_opened) as connections_opened, sum(connections_closed) as connections_closed,
    sum(bytes_sent) as bytes_sent, sum(bytes_received) as bytes_received, sum(segments_sent) as segments_sent,
    sum(segments_received) as segments_received, sum(retransmits) as retransmits,
    sum(flow_rows) as flow_rows
  from servers_ranked
  group by range_id, network_transport, client_ip, server_ip, server_port
),

-- Where one client service holds the conversation, the greater view of each amount counts, and retransmissions of both ends
-- add up, as they are of different directions. Where several share it, each keeps what it saw itself.
seen_by_clients as (
  select
    c.view_id, c.range_id, c.network_transport, c.view_client_name as client_name, c.client_address,
    case when coalesce(s.server_name, '') <> '' then s.server_name else c.told_server_name end as server_name, c.server_address,
    c.server_port,
    case when c.clients = 1 then greatest(c.connections_opened, coalesce(s.connections_opened, 0)) else c.connections_opened end as connections_opened,
    case when c.clients = 1 then greatest(c.connections_closed, coalesce(s.connections_closed, 0)) else c.connections_closed end as connections_closed,
    case when c.clients = 1 then greatest(c.bytes_sent, coalesce(s.bytes_sent, 0)) else c.bytes_sent end as bytes_sent,
    case when c.clients = 1 then greatest(c.bytes_received, coalesce(s.bytes_received, 0)) else c.bytes_received end as bytes_received,
    case when c.clients = 1 then greatest(c.segments_sent, coalesce(s.segments_sent, 0)) else c.segments_sent end as segments_sent,
    case when c.clients = 1 then greatest(c.segments_received, coalesce(s.segments_received, 0)) else c.segments_received end as segments_received,
    c.retransmits + case when c.clients = 1 then coalesce(s.retransmits, 0) else 0 end as retransmits,
    c.connections_reset, c.connections_timed_out, c.connections_failed_refused, c.connections_failed_timeout,
    c.connections_failed_unreachable, c.connections_failed_other, c.srtt_us_sum, c.srtt_samples, c.connect_us_sum,
    c.connect_samples,
    c.srtt_us_min, c.srtt_us_max, c.connect_us_max,
    c.flow_rows + case when c.clients = 1 then coalesce(s.flow_rows, 0) else 0 end as flow_rows
  from clients c
  left join servers s
    on s.range_id = c.range_id and s.network_transport = c.network_transport
    and s.client_ip = c.client_ip and s.server_ip = c.server_ip and s.server_port = c.server_port
),

-- A server's view stands alone where no client's host reports.
seen_by_servers_only as (
  select
    s.view_id, s.range_id, s.network_transport, s.told_client_name, s.client_address, s.view_server_name, s.server_address, s.server_port,
    s.connections_opened, s.connections_closed, s.bytes_sent, s.bytes_received, s.segments_sent, s.segments_received,
    s.retransmits, s.connections_reset, s.connections_timed_out, s.connections_failed_refused,
    s.connections_failed_timeout, s.connections_failed_unreachable, s.connections_failed_other, s.srtt_us_sum,
    s.srtt_samples, s.connect_us_sum, s.connect_samples,
    s.srtt_us_min, s.srtt_us_max, s.connect_us_max, s.flow_rows
  from counted s
  left join (select distinct range_id, network_transport, client_ip, server_ip, server_port from clients) c
    on c.range_id = s.range_id and c.network_transport = s.network_transport
    and c.client_ip = s.client_ip and c.server_ip = s.server_ip and c.server_port = s.server_port
  where s.seen_by = 'server' and c.range_id is null
),

-- An end goes by its name, and by its address only where it has none.
ends as (
  select
    * exclude (client_name, client_address, server_name, server_address),
    client_name as client_service_name,
    case when client_name = '' then client_address else '' end as client_address,
    server_name as server_service_name,
    case when server_name = '' then server_address else '' end as server_address
  from (select * from seen_by_clients union all select * from seen_by_servers_only) seen
),

edges as (
  select
    range_id, network_transport, client_service_name, client_address, server_service_name, server_address, server_port,
    least(sum(connections_opened), 9007199254740991) as connections_opened,
    least(sum(connections_closed), 9007199254740991) as connections_closed,
    least(sum(bytes_sent), 9007199254740991) as bytes_sent,
    least(sum(bytes_received), 9007199254740991) as bytes_received,
    least(sum(segments_sent), 9007199254740991) as segments_sent,
    least(sum(segments_received), 9007199254740991) as segments_received,
    least(sum(retransmits), 9007199254740991) as retransmits,
    least(sum(connections_reset), 9007199254740991) as connections_reset,
    least(sum(connections_timed_out), 9007199254740991) as connections_timed_out,
    least(sum(connections_failed_refused), 9007199254740991) as connections_failed_refused,
    least(sum(connections_failed_timeout), 9007199254740991) as connections_failed_timeout,
    least(sum(connections_failed_unreachable), 9007199254740991) as connections_failed_unreachable,
    least(sum(connections_failed_other), 9007199254740991) as connections_failed_other,
    least(sum(srtt_us_sum), 9007199254740991) as srtt_us_sum, least(sum(srtt_samples), 9007199254740991) as srtt_samples,
    least(sum(connect_us_sum), 9007199254740991) as connect_us_sum,
    least(sum(connect_samples), 9007199254740991) as connect_samples,
    min(srtt_us_min) as srtt_us_min, max(srtt_us_max) as srtt_us_max, max(connect_us_max) as connect_us_max,
    sum(flow_rows) as flow_rows
  from ends
  group by range_id, network_transport, client_service_name, client_address, server_service_name, server_address, server_port
),

-- Round-trip times: the smallest and the greatest of a row stand for themselves, the others for the mean of the rest.
samples as (
  select
    *,
    coalesce(srtt_us_min, rtt_sum // rtt_samples) as low,
    coalesce(srtt_us_max, rtt_sum // rtt_samples) as high
  from (
    select *, least(srtt_us_sum, 9007199254740991) as rtt_sum, least(srtt_samples, 9007199254740991) as rtt_samples from view_rows where srtt_samples > 0
  ) rows_with_samples
),

sample_values as (
  select range_id, network_transport, client_ip, server_ip, server_port, seen_by, estimator, view_client_name, view_server_name,
    case when rtt_samples = 1 then rtt_sum else low end as us, 1 as samples
  from samples
  union all
  select range_id, network_transport, client_ip, server_ip, server_port, seen_by, estimator, view_client_name, view_server_name, high, 1
  from samples
  where rtt_samples > 1
  union all
  select range_id, network_transport, client_ip, server_ip, server_port, seen_by, estimator, view_client_name, view_server_name,
    greatest(rtt_sum - low - high, 0) // (rtt_samples - 2), rtt_samples - 2
  from samples
  where rtt_samples > 2
),

edge_buckets as (
  select
    e.range_id, e.network_transport, e.client_service_name, e.client_address, e.server_service_name, e.server_address, e.server_port,
    case when s.us < 2 then 0 else least(length(bin(cast(s.us as bigint))) - 1, 31) end as bucket,
    least(sum(s.samples), 9007199254740991) as samples
  from sample_values s
  join views v
    on v.range_id = s.range_id and v.network_transport = s.network_transport
    and v.client_ip = s.client_ip and v.server_ip = s.server_ip and v.server_port = s.server_port
    and v.seen_by = s.seen_by and v.estimator = s.estimator and v.view_client_name = s.view_client_name
    and v.view_server_name = s.view_server_name
  join ends e on e.view_id = v.view_id
  group by all
),

-- A later revision holds what it changes.
steps as (
  select range_id, range_id as of_range, 1 as factor from ranges
  union all
  select later.range_id, r.range_id, -1
  from ranges r
  join ranges later
    on later.src_topic = r.src_topic and later.src_partition = r.src_partition and later.window_start = r.window_start
    and later.src_offset_from = r.src_offset_from and later.place = r.place + 1
),

histograms as (
  select range_id, network_transport, client_service_name, client_address, server_service_name, server_address, server_port, map_from_entries(list(row(bucket, samples))) as samples
  from (
    select s.range_id, e.network_transport, e.client_service_name, e.client_address, e.server_service_name, e.server_address,
      e.server_port, e.bucket, cast(sum(s.factor * e.samples) as bigint) as samples
    from edge_buckets e
    join steps s on s.of_range = e.range_id
    group by all
  ) changed_buckets
  group by range_id, network_transport, client_service_name, client_address, server_service_name, server_address, server_port
),

changes as (
  select
    s.range_id, e.network_transport, e.client_service_name, e.client_address, e.server_service_name, e.server_address, e.server_port,
    cast(sum(s.factor * e.connections_opened) as bigint) as connections_opened,
    cast(sum(s.factor * e.connections_closed) as bigint) as connections_closed,
    cast(sum(s.factor * e.bytes_sent) as bigint) as bytes_sent,
    cast(sum(s.factor * e.bytes_received) as bigint) as bytes_received,
    cast(sum(s.factor * e.segments_sent) as bigint) as segments_sent,
    cast(sum(s.factor * e.segments_received) as bigint) as segments_received,
    cast(sum(s.factor * e.retransmits) as bigint) as retransmits,
    cast(sum(s.factor * e.connections_reset) as bigint) as connections_reset,
    cast(sum(s.factor * e.connections_timed_out) as bigint) as connections_timed_out,
    cast(sum(s.factor * e.connections_failed_refused) as bigint) as connections_failed_refused,
    cast(sum(s.factor * e.connections_failed_timeout) as bigint) as connections_failed_timeout,
    cast(sum(s.factor * e.connections_failed_unreachable) as bigint) as connections_failed_unreachable,
    cast(sum(s.factor * e.connections_failed_other) as bigint) as connections_failed_other,
    cast(sum(s.factor * e.srtt_us_sum) as bigint) as srtt_us_sum,
    cast(sum(s.factor * e.srtt_samples) as bigint) as srtt_samples,
    cast(sum(s.factor * e.connect_us_sum) as bigint) as connect_us_sum,
    cast(sum(s.factor * e.connect_samples) as bigint) as connect_samples,
    max(case when s.factor = 1 then e.srtt_us_min end) as srtt_us_min,
    max(case when s.factor = 1 then e.srtt_us_max end) as srtt_us_max,
    max(case when s.factor = 1 then e.connect_us_max end) as connect_us_max,
    cast(sum(s.factor * e.flow_rows) as bigint) as flow_rows
  from edges e
  join steps s on s.of_range = e.range_id
  group by s.range_id, e.network_transport, e.client_service_name, e.client_address, e.server_service_name, e.server_address, e.server_port
),

final as (
  select
    r.window_start, c.network_transport, c.client_service_name, c.client_address, c.server_service_name, c.server_address, c.server_port,
    c.connections_opened, c.connections_closed, c.connections_reset, c.connections_timed_out,
    c.connections_failed_refused, c.connections_failed_timeout, c.connections_failed_unreachable,
    c.connections_failed_other, c.bytes_sent, c.bytes_received, c.segments_sent, c.segments_received, c.retransmits,
    c.srtt_us_sum, c.srtt_samples,
    c.srtt_us_min, c.srtt_us_max,
    list_transform(range(32), bucket -> coalesce(h.samples[bucket], 0)) as srtt_us_histogram,
    c.connect_us_sum, c.connect_samples, c.connect_us_max, c.flow_rows,
    r.revision, r.src_topic, r.src_partition, r.src_offset_from, r.src_offset_to
  from changes c
  join ranges r on r.range_id = c.range_id
  left join histograms h
    on h.range_id = c.range_id and h.network_transport = c.network_transport
    and h.client_service_name = c.client_service_name and h.client_address = c.client_address
    and h.server_service_name = c.server_service_name and h.server_address = c.server_address and h.server_port = c.server_port
)

-- Where nothing changes there is no row.
select * from final
where connections_opened <> 0 or connections_closed <> 0 or connections_reset <> 0 or connections_timed_out <> 0
  or connections_failed_refused <> 0 or connections_failed_timeout <> 0 or connections_failed_unreachable <> 0 or connections_failed_other <> 0
  or bytes_sent <> 0 or bytes_received <> 0 or segments_sent <> 0 or segments_received <> 0
  or retransmits <> 0 or srtt_us_sum <> 0 or srtt_samples <> 0 or connect_us_sum <> 0
  or connect_samples <> 0 or flow_rows <> 0
  or list_aggregate(list_transform(srtt_us_histogram, samples -> abs(samples)), 'sum') > 0
order by src_topic, src_partition, window_start, src_offset_from, src_offset_to, network_transport, client_service_name, client_address, server_service_name, server_address, server_port
