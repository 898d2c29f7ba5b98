{%- macro create(name, parameters, types) -%}
create or replace function pgmq_notify.{{ name }}(queue_name text{{ parameters }})
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  created text := queue_name;
begin
  if not exists (select from pgmq.meta m where m.queue_name = created) then
    {{ caller() }}
    perform pgmq_notify.publish_queue_created(
      m.queue_name, m.created_at, m.is_partitioned, m.is_unlogged
    ) from pgmq.meta m where m.queue_name = created;
  end if;
end
$pgmq_notify$;
comment on function pgmq_notify.{{ name }}(text{{ types }}) is
  'As the function of pgmq, and queue_created in the same transaction.';
{%- endmacro -%}
create or replace function pgmq_notify.send(
  queue_name text,
  msg jsonb,
  headers jsonb default null,
  delay timestamp with time zone default pg_catalog.clock_timestamp()
)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  msg_id bigint;
begin
  for msg_id in select pgmq.send(send.queue_name, send.msg, send.headers, send.delay) loop
    perform pgmq_notify.publish(send.queue_name, array[msg_id], send.delay, send.msg, send.headers);
    return next msg_id;
  end loop;
end
$pgmq_notify$;
comment on function pgmq_notify.send(text, jsonb, jsonb, timestamp with time zone) is
  'pgmq.send, and the event in the same transaction.';

create or replace function pgmq_notify.send_batch(
  queue_name text,
  msgs jsonb[],
  headers jsonb[] default null,
  delay timestamp with time zone default pg_catalog.clock_timestamp()
)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  msg_ids bigint[];
begin
  select array_agg(s.msg_id) into msg_ids
  from pgmq.send_batch(
    send_batch.queue_name, send_batch.msgs, send_batch.headers, send_batch.delay
  ) s(msg_id);
  perform pgmq_notify.publish(
    send_batch.queue_name, msg_ids, send_batch.delay, send_batch.msgs[1], send_batch.headers[1]
  );
  return query select unnest(msg_ids);
end
$pgmq_notify$;
comment on function pgmq_notify.send_batch(text, jsonb[], jsonb[], timestamp with time zone) is
  'pgmq.send_batch, and one event in the same transaction.';

-- The queues are found as pgmq.send_topic finds them, because it does not say which they were.
create or replace function pgmq_notify.send_topic(
  routing_key text,
  msg jsonb,
  headers jsonb default null,
  delay integer default 0
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  queue text;
  matched integer := 0;
begin
  if msg is null then
    raise exception 'msg cannot be NULL';
  end if;
  if delay < 0 then
    raise exception 'delay cannot be negative, got: %', delay;
  end if;
  for queue in
    select distinct r.queue_name from pgmq.test_routing(send_topic.routing_key) r order by r.queue_name
  loop
    perform pgmq_notify.send(
      queue, send_topic.msg, send_topic.headers,
      clock_timestamp() + make_interval(secs => coalesce(send_topic.delay, 0))
    );
    matched := matched + 1;
  end loop;
  return matched;
end
$pgmq_notify$;
comment on function pgmq_notify.send_topic(text, jsonb, jsonb, integer) is
  'pgmq.send_topic (PGMQ 1.11 and newer), and an event for each queue in the same transaction.';

create or replace function pgmq_notify.send_batch_topic(
  routing_key text,
  msgs jsonb[],
  headers jsonb[] default null,
  delay timestamp with time zone default pg_catalog.clock_timestamp()
)
returns table (queue_name text, msg_id bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  queue text;
begin
  for queue in
    select distinct r.queue_name from pgmq.test_routing(send_batch_topic.routing_key) r order by r.queue_name
  loop
    return query
      select queue, s.msg_id
      from pgmq_notify.send_batch(
        queue, send_batch_topic.msgs, send_batch_topic.headers, send_batch_topic.delay
      ) s(msg_id);
  end loop;
end
$pgmq_notify$;
comment on function pgmq_notify.send_batch_topic(text, jsonb[], jsonb[], timestamp with time zone) is
  'pgmq.send_batch_topic (PGMQ 1.11 and newer), and an event for each queue in the same transaction.';

{% call create("\"create\"", "", "") -%}
    perform pgmq."create"(created);
{%- endcall %}

{% call create("create_unlogged", "", "") -%}
    perform pgmq.create_unlogged(created);
{%- endcall %}

{% call create(
  "create_partitioned",
  ",\n  partition_interval text default '10000',\n  retention_interval text default '100000',\n  premake integer default null\n",
  ", text, text, integer"
) -%}
    if premake is null then
      perform pgmq.create_partitioned(created, partition_interval, retention_interval);
    else
      -- PGMQ 1.13 and newer.
      perform pgmq.create_partitioned(created, partition_interval, retention_interval, premake);
    end if;
{%- endcall %}

create or replace function pgmq_notify.drop_queue(queue_name text)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
begin
  if not pgmq.drop_queue(drop_queue.queue_name) then
    return false;
  end if;
  perform pgmq_notify.publish_queue_dropped(drop_queue.queue_name);
  return true;
end
$pgmq_notify$;
comment on function pgmq_notify.drop_queue(text) is
  'pgmq.drop_queue, and queue_dropped in the same transaction.';
