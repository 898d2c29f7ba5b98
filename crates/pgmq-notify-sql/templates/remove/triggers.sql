-- DROP TRIGGER locks a queue against everything, so the locks are taken as by the installation: all in
-- one statement, for a short time first, and given back in between. Those of partitions go with their
-- queue's.
do $pgmq_notify$
declare
  doomed record;
  busy text;
  blockers text;
  done boolean := false;
  before text := pg_catalog.current_setting('lock_timeout');
begin
  for attempt in 1..{{ short_attempts }} + {{ long_attempts }} loop
    begin
      perform pg_catalog.set_config(
        'lock_timeout',
        case when attempt <= {{ short_attempts }} then '{{ short_wait }}ms' else '{{ lock_timeout }}ms' end,
        true
      );
      select pg_catalog.string_agg(distinct t.tgrelid::pg_catalog.regclass::text, ', ') into busy
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'pgmq_notify' and t.tgparentid = 0;
      if busy is not null then
        execute pg_catalog.format('lock table %s in access exclusive mode', busy);
      end if;
{%- if drop_parked %}
      if pg_catalog.to_regclass('pgmq_notify.parked') is not null then
        lock table pgmq_notify.parked in access exclusive mode;
      end if;
{%- endif %}
      for doomed in
        select t.tgname, t.tgrelid::pg_catalog.regclass as relation
        from pg_catalog.pg_trigger t
        join pg_catalog.pg_proc p on p.oid = t.tgfoid
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'pgmq_notify' and t.tgparentid = 0
      loop
        execute pg_catalog.format('drop trigger %I on %s', doomed.tgname, doomed.relation);
      end loop;
      done := true;
    exception when lock_not_available or deadlock_detected then
      perform pg_catalog.pg_sleep(0.01 + 0.05 * pg_catalog.random());
    end;
    exit when done;
  end loop;
  perform pg_catalog.set_config('lock_timeout', before, true);
  if not done then
{%- let conflicting = "array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']" %}
{% include "objects/blockers.sql" %}
    raise exception 'pgmq-notify could not lock every queue to remove its triggers: %', blockers
      using
        errcode = 'lock_not_available',
        hint = 'Nothing was changed. End the long transactions (select pg_terminate_backend(pid)) or try again later.';
  end if;
end
$pgmq_notify$;
