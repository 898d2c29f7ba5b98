create or replace function pgmq_notify.message_inserted()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  names text := tg_argv[0];
  channel text := tg_argv[1];
  global_channel text := tg_argv[2];
  max_size integer := tg_argv[3];
  payload boolean := tg_argv[4];
  parked text := tg_argv[5];
{% include "objects/declare_publish.sql" %}
  msg_id bigint;
  vt timestamp with time zone;
  message jsonb;
  headers jsonb;
  message_count bigint := 0;
  longest_id integer;
begin
{%- let returns = " null" %}
{% include "objects/check_queue.sql" %}
  -- A statement-level trigger also fires for no rows.
  for msg_id, vt, message, headers in
    select i.msg_id, i.vt, i.message, i.headers from inserted i
  loop
    message_count := message_count + 1;
    exit when message_count > 1;
  end loop;
{%- if parks %}
  if message_count = 0 then
    return null;
  end if;
{% include "objects/check_parked.sql" %}
{%- endif %}
  if message_count = 1 then
{% include "objects/publish_message.sql" %}
  elsif message_count > 1 then
    select min(i.vt), greatest(length(min(i.msg_id)::text), length(max(i.msg_id)::text))
    into vt, longest_id
    from inserted i;
{%- let source = "(select i.msg_id as id from inserted i) b" %}
{% include "objects/publish_batch.sql" %}
  end if;
  return null;
end
$pgmq_notify$;
comment on function pgmq_notify.message_inserted() is
  'Publishes what one statement inserted into a queue. Its arguments: names as JSON, channel, global channel or nothing, most bytes, whether with bodies, the name in pgmq_notify.parked or nothing.';
