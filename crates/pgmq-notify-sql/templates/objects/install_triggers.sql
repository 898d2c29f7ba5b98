-- CREATE TRIGGER needs a lock that waits for open writes on the queue and makes new ones wait. It is
-- taken only where something has to change, on all such queues in one statement. While it waits for
-- some of them it holds up the writers of the others, and where these hold what it waits for, nobody
-- gets on: so it waits for a short time first ({{ short_wait }} ms), often, and then for {{ lock_timeout }} ms, sometimes,
-- and gives back every lock in between. Both are less than deadlock_timeout (1 s by default), so that
-- PostgreSQL never cancels a writer because of this.
create or replace function pgmq_notify.install_triggers()
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '{{ lock_timeout }}ms'
as $pgmq_notify$
declare
  queue record;
  busy text;
  blockers text;
  installed integer;
begin
  -- Nothing to do: no lock on anything.
  if not exists (
    select from pgmq_notify.queues() q where q.trigger_state in ('missing', 'stale')
  ) and (
    select count(*) = 2 from pg_trigger t
    where t.tgrelid = 'pgmq.meta'::regclass
      and (t.tgname, t.tgfoid) in (
        ('pgmq_notify_queue_created', 'pgmq_notify.queue_created()'::regprocedure),
        ('pgmq_notify_queue_dropped', 'pgmq_notify.queue_dropped()'::regprocedure)
      )
  ) and not exists (
    -- A changed configuration: whoever creates a queue now would still use the old one.
    select from pgmq_notify.installation i where i.xmin = pg_current_xact_id()::xid
  ) then
    return 0;
  end if;
  for attempt in 1..{{ short_attempts }} + {{ long_attempts }} loop
    begin
      perform set_config(
        'lock_timeout',
        case when attempt <= {{ short_attempts }} then '{{ short_wait }}ms' else '{{ lock_timeout }}ms' end,
        true
      );
      -- No queue may be created between the look at pgmq.meta and the commit.
      lock table pgmq.meta in share row exclusive mode;
      -- With the partitions, which get the second trigger too.
      select string_agg(q.relation::text, ', ' order by q.relation::oid) into busy
      from pgmq_notify.queues() q
      where q.trigger_state in ('missing', 'stale');
      if busy is not null then
        execute format('lock table %s in share row exclusive mode', busy);
      end if;
{%- if !parks %}
      -- It is dropped below, for which whoever has looked into it has to end, and all who send would wait.
      if to_regclass('pgmq_notify.parked') is not null then
        lock table pgmq_notify.parked in access exclusive mode;
      end if;
{%- endif %}
      installed := 0;
      create or replace trigger pgmq_notify_queue_created after insert on pgmq.meta
        for each row execute function pgmq_notify.queue_created();
      create or replace trigger pgmq_notify_queue_dropped after delete on pgmq.meta
        for each row execute function pgmq_notify.queue_dropped();
      for queue in
        select q.trigger_definition
        from pgmq_notify.queues() q
        where q.trigger_state in ('missing', 'stale')
      loop
        execute queue.trigger_definition;
        installed := installed + 1;
      end loop;
      return installed;
    exception when lock_not_available or deadlock_detected then
      null;
    end;
    perform pg_sleep(0.01 + 0.05 * random());
  end loop;
{%- let conflicting = "array['RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']" %}
{% include "objects/blockers.sql" %}
  raise exception 'pgmq-notify could not lock every queue to install its triggers: %', blockers
    using
      errcode = 'lock_not_available',
      hint = 'Nothing was changed. End the long transactions (select pg_terminate_backend(pid)) or try again later.';
end
$pgmq_notify$;
comment on function pgmq_notify.install_triggers() is
  'Puts its triggers on every queue that lacks one or has an outdated one; returns how many queues.';
revoke all on function pgmq_notify.install_triggers() from public;
