create or replace function pgmq_notify.publish_queue_created(
  queue_name text,
  created_at timestamp with time zone,
  is_partitioned boolean,
  is_unlogged boolean
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
  select pg_notify(
    pgmq_notify.channel_name('pgmq_queue_created'),
    format(
      '{"event_type":"queue_created",%s,"created_at":"%s","is_partitioned":%s,"is_unlogged":%s}',
      r.names,
      to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      to_json(is_partitioned),
      to_json(is_unlogged)
    )
  )
  from pgmq_notify.route(publish_queue_created.queue_name) r
  where pg_notification_queue_usage() <= 0.5
    and current_setting('pgmq_notify.mute', true) is distinct from 'on'
$pgmq_notify$;
comment on function pgmq_notify.publish_queue_created(text, timestamp with time zone, boolean, boolean) is
  'Publishes queue_created.';

create or replace function pgmq_notify.publish_queue_dropped(queue_name text)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
  select pg_notify(
    pgmq_notify.channel_name('pgmq_queue_dropped'),
    format(
      '{"event_type":"queue_dropped",%s,"dropped_at":"%s"}',
      r.names,
      to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    )
  )
  from pgmq_notify.route(publish_queue_dropped.queue_name) r
  where pg_notification_queue_usage() <= 0.5
    and current_setting('pgmq_notify.mute', true) is distinct from 'on'
$pgmq_notify$;
comment on function pgmq_notify.publish_queue_dropped(text) is
  'Publishes queue_dropped.';
