-- One row per row of conversation, with a service for each end and where its name is from.

with

-- The first that knows it names an end: the end's own report, what listened there then, the configured ranges, reverse DNS.
found as (
  select
    c.*,
    case when c.client_name <> '' then c.client_name else coalesce(cn.service, cd.service) end as client_found,
    case
      when c.client_name <> '' then 'report'
      when cn.service is not null then 'configured'
      when cd.service is not null then 'dns'
      else 'none'
    end as client_named_by,
    case when c.server_name <> '' then c.server_name else coalesce(l.service, sn.service, sd.service) end as server_found,
    case
      when c.server_name <> '' then 'report'
      when l.service is not null then 'listener'
      when sn.service is not null then 'configured'
      when sd.service is not null then 'dns'
      else 'none'
    end as server_named_by
  from conversation c
  left join listener l
    on l.network_transport = c.network_transport and l.server_address = c.server_address and l.server_port = c.server_port
    and c.minute >= l.valid_from and c.minute < l.valid_to
  left join address_name cn on cn.address = c.client_address and c.minute >= cn.valid_from and c.minute < cn.valid_to
  left join address_name sn on sn.address = c.server_address and c.minute >= sn.valid_from and c.minute < sn.valid_to
  left join reverse_name cd on cd.address = c.client_address
  left join reverse_name sd on sd.address = c.server_address
),

-- An end that nothing names is unmanaged, and goes by its address.
final as (
  select
    f.*,
    coalesce(client_found, concat('unmanaged ', client_address)) as client_service,
    coalesce(server_found, concat('unmanaged ', server_address)) as server_service
  from found f
)

select * from final
