-- Runs as whoever creates the queue, because only its owner may put a trigger on the new table.
-- A queue is created even if that is not possible: a warning says why there are no events.
create or replace function pgmq_notify.queue_created()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '{{ lock_timeout }}ms'
as $pgmq_notify$
declare
  definition text;
begin
  select q.trigger_definition into definition
  from pgmq_notify.queues(new.queue_name) q
  where q.trigger_state in ('missing', 'stale');
  if definition is not null then
    execute definition;
  end if;
  perform pgmq_notify.publish_queue_created(
    new.queue_name, new.created_at, new.is_partitioned, new.is_unlogged
  );
  return null;
exception when others then
  raise warning 'queue % has no triggers of pgmq-notify: %', new.queue_name, sqlerrm
    using hint = 'As the owner of the queue: select pgmq_notify.install_triggers();';
  return null;
end
$pgmq_notify$;
comment on function pgmq_notify.queue_created() is
  'Covers a queue that appears in pgmq.meta, and publishes queue_created.';

create or replace function pgmq_notify.queue_dropped()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
begin
  perform pgmq_notify.publish_queue_dropped(old.queue_name);
  return null;
exception when others then
  raise warning 'the end of queue % was not published: %', old.queue_name, sqlerrm;
  return null;
end
$pgmq_notify$;
comment on function pgmq_notify.queue_dropped() is
  'Publishes queue_dropped when a queue leaves pgmq.meta.';
