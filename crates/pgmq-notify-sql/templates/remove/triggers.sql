-- DROP TRIGGER locks a queue against everything, so it has the same bounds as the installation.
do $pgmq_notify$
declare
  doomed record;
  busy text;
  done boolean := false;
  before text := pg_catalog.current_setting('lock_timeout');
  give_up_at timestamp with time zone;
begin
  for attempt in 1..{{ lock_attempts }} loop
    begin
      give_up_at := pg_catalog.clock_timestamp() + interval '{{ lock_timeout }} ms';
      for doomed in
        select t.tgname, t.tgrelid::pg_catalog.regclass as relation
        from pg_catalog.pg_trigger t
        join pg_catalog.pg_proc p on p.oid = t.tgfoid
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'pgmq_notify' and not t.tgisinternal and t.tgparentid = 0
        order by t.tgrelid
      loop
        busy := doomed.relation;
        perform pg_catalog.set_config(
          'lock_timeout',
          greatest(
            1,
            pg_catalog.round(extract(epoch from give_up_at - pg_catalog.clock_timestamp()) * 1000)
          ) || 'ms',
          true
        );
        execute pg_catalog.format('drop trigger %I on %s', doomed.tgname, doomed.relation);
      end loop;
      done := true;
    exception when lock_not_available or deadlock_detected then
      perform pg_catalog.pg_sleep(0.05 + 0.1 * pg_catalog.random());
    end;
    exit when done;
  end loop;
  if not done then
    raise exception 'pgmq-notify could not lock % to remove its trigger: transactions that use it stay open', busy
      using
        errcode = 'lock_not_available',
        hint = 'Nothing was changed. End these transactions (pg_locks names them) or try again later.';
  end if;
  perform pg_catalog.set_config('lock_timeout', before, true);
end
$pgmq_notify$;
