-- CREATE TRIGGER needs a lock that waits for open writes on the queue and makes new ones wait. It is
-- taken only where something has to change. Waiting for locks may hold up writers for {{ lock_timeout }} ms in
-- all: when that is over, every lock is given back, and it is tried again. It is less than
-- deadlock_timeout (1 s by default), so that PostgreSQL never cancels a writer because of this.
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
  give_up_at timestamp with time zone;
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
  for attempt in 1..{{ lock_attempts }} loop
    begin
      installed := 0;
      give_up_at := clock_timestamp() + interval '{{ lock_timeout }} ms';
      -- No queue may be created between the look at pgmq.meta and the commit.
      busy := 'pgmq.meta';
      lock table pgmq.meta in share row exclusive mode;
      create or replace trigger pgmq_notify_queue_created after insert on pgmq.meta
        for each row execute function pgmq_notify.queue_created();
      create or replace trigger pgmq_notify_queue_dropped after delete on pgmq.meta
        for each row execute function pgmq_notify.queue_dropped();
      for queue in
        select q.relation, q.trigger_definition
        from pgmq_notify.queues() q
        where q.trigger_state in ('missing', 'stale')
        order by q.relation::oid
      loop
        busy := queue.relation::text;
        perform set_config(
          'lock_timeout',
          greatest(1, round(extract(epoch from give_up_at - clock_timestamp()) * 1000)) || 'ms',
          true
        );
        execute queue.trigger_definition;
        installed := installed + 1;
      end loop;
      return installed;
    exception when lock_not_available or deadlock_detected then
      select string_agg(distinct l.pid::text, ', ') into blockers
      from pg_locks l
      where l.relation = to_regclass(busy) and l.granted and l.pid <> pg_backend_pid();
    end;
    perform pg_sleep(0.05 + 0.1 * random());
  end loop;
  raise exception 'pgmq-notify could not lock % to install its trigger: transactions that write to it stay open', busy
    using
      errcode = 'lock_not_available',
      detail = format('Backends that held a lock on it: %s.', coalesce(blockers, 'none any more')),
      hint = 'Nothing was changed. End these transactions (select pg_terminate_backend(pid)) or try again later.';
end
$pgmq_notify$;
comment on function pgmq_notify.install_triggers() is
  'Puts a trigger on every queue that lacks one or has an outdated one; returns how many.';
revoke all on function pgmq_notify.install_triggers() from public;

do $pgmq_notify$
begin
  perform pgmq_notify.install_triggers();
end
$pgmq_notify$;
