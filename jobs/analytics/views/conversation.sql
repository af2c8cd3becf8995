-- One row per minute, transport, client address, server address, server port, and client service of its own report; of
-- conversations that no client's host reports, per server service.

with

-- Of an hour that conversation_1m has no flow is asked again.
final as (
  select * from kept_conversation
  union all
  select * from flow_conversation
)

select * from final
