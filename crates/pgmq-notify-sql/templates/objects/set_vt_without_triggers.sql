{%- macro set_vt(id_name, id_type, vt_type, ids) -%}
create or replace function pgmq_notify.set_vt(queue_name text, {{ id_name }} {{ id_type }}, new_vt {{ vt_type }})
returns table (
  msg_id bigint,
  read_ct integer,
  enqueued_at timestamp with time zone,
  vt timestamp with time zone,
  message jsonb,
  headers jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  hidden jsonb := pgmq_notify.hidden_until(set_vt.queue_name, {{ ids }});
  released bigint[];
  released_vt timestamp with time zone;
begin
  for msg_id, read_ct, enqueued_at, vt, message, headers in
    select s.msg_id, s.read_ct, s.enqueued_at, s.vt, s.message, s.headers
    from pgmq.set_vt(set_vt.queue_name, {{ id_name }}, new_vt) s
  loop
    if vt < (hidden ->> msg_id::text)::timestamp with time zone then
      released := released || msg_id;
      released_vt := vt;
    end if;
    return next;
  end loop;
  perform pgmq_notify.publish_released(set_vt.queue_name, released, released_vt);
end
$pgmq_notify$;
comment on function pgmq_notify.set_vt(text, {{ id_type }}, {{ vt_type }}) is
  'pgmq.set_vt, and an event in the same transaction for each message that becomes visible earlier than it was going to.';
{%- endmacro -%}
create or replace function pgmq_notify.publish_released(
  queue_name text,
  msg_ids bigint[],
  vt timestamp with time zone
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  names text;
  channel text;
  global_channel text;
  parked text;
  attention bigint;
{% include "objects/declare_publish.sql" %}
  msg_id bigint;
begin
{%- let returns = "" %}
  if msg_ids is null then
    return;
  end if;
{% include "objects/check_queue.sql" %}
  select r.names, r.channel, r.global_channel, r.parked, r.attention
  into names, channel, global_channel, parked, attention
  from pgmq_notify.route(publish_released.queue_name) r;
{%- if parks %}
{% include "objects/check_attended.sql" %}
{% include "objects/check_parked.sql" %}
{%- endif %}
  copies := case when global_channel = '' then 1 else 2 end;
{% include "objects/message_times.sql" %}
  foreach msg_id in array msg_ids[1:{{ most_released }}] loop
{% include "objects/message_ready.sql" %}
{% include "objects/publish_event.sql" %}
  end loop;
end
$pgmq_notify$;
comment on function pgmq_notify.publish_released(text, bigint[], timestamp with time zone) is
  'Publishes messages that became visible earlier in this transaction, each by its id.';

-- Locks them as the update will, so that nobody changes them in between.
create or replace function pgmq_notify.hidden_until(queue_name text, msg_ids bigint[])
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  hidden jsonb;
begin
  execute format(
    'select jsonb_object_agg(h.msg_id, h.vt) from ('
    'select q.msg_id, q.vt from pgmq.%I q '
    'where q.msg_id = any ($1) and q.vt > clock_timestamp() '
    'order by q.msg_id for update'
    ') h',
    pgmq.format_table_name(hidden_until.queue_name, 'q')
  ) into hidden using hidden_until.msg_ids;
  return hidden;
end
$pgmq_notify$;
comment on function pgmq_notify.hidden_until(text, bigint[]) is
  'Until when those of the messages are invisible that are: times by id.';

{% call set_vt("id", "bigint", "integer", "array[id]") -%}{%- endcall %}

-- PGMQ 1.10 and newer.
{% call set_vt("id", "bigint", "timestamp with time zone", "array[id]") -%}{%- endcall %}

-- PGMQ 1.8 and newer.
{% call set_vt("ids", "bigint[]", "integer", "ids") -%}{%- endcall %}

-- PGMQ 1.10 and newer.
{% call set_vt("ids", "bigint[]", "timestamp with time zone", "ids") -%}{%- endcall %}
