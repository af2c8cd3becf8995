-- One row per minute, transport, client address, server address, server port, and client service of its own report; of
-- conversations that no client's host reports, per server service.

with

final as (
  select * from whole_conversation
  union all
  select * from shared_conversation
)

select * from final
