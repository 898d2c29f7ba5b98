create or replace function pgmq_notify.publish(
  queue_name text,
  msg_ids bigint[],
  vt timestamp with time zone,
  message jsonb,
  headers jsonb
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  names text;
  channel text;
  global_channel text;
  max_size integer;
  payload boolean;
  parked text;
  attention bigint;
{% include "objects/declare_publish.sql" %}
  msg_id bigint;
  message_count bigint := cardinality(msg_ids);
  longest_id integer;
begin
{%- let returns = "" %}
{% include "objects/check_queue.sql" %}
  select r.names, r.channel, r.global_channel, r.max_payload_size, r.payload, r.parked, r.attention
  into names, channel, global_channel, max_size, payload, parked, attention
  from pgmq_notify.route(publish.queue_name) r;
{%- if parks %}
{% include "objects/check_attended.sql" %}
{% include "objects/check_parked.sql" %}
{%- endif %}
  copies := case when global_channel = '' then 1 else 2 end;
  if message_count = 1 then
    msg_id := msg_ids[1];
{% include "objects/publish_message.sql" %}
  elsif message_count > 1 then
    select greatest(length(min(id)::text), length(max(id)::text)) into longest_id
    from unnest(msg_ids) id;
{%- let source = "unnest(msg_ids) b(id)" %}
{% include "objects/publish_batch.sql" %}
  end if;
end
$pgmq_notify$;
comment on function pgmq_notify.publish(text, bigint[], timestamp with time zone, jsonb, jsonb) is
  'Publishes messages that were inserted in this transaction: one with its body, or several by their ids.';
