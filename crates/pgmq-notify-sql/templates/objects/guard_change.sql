-- One installation at a time. This only changes what differs, so it needs what the migrations before it
-- have installed; it may run again.
do $pgmq_notify$
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgmq_notify', 0));
  if pg_catalog.to_regclass('pgmq_notify.installation') is null then
    raise exception 'pgmq-notify is not installed in this database, and this migration only changes what is'
      using hint = 'Apply the migrations before this one first.';
  end if;
  if not exists (
    select from pgmq_notify.installation i
    where (
      i.version,
      i.triggers_enabled,
      coalesce(
        pg_catalog.to_jsonb(i) ->> 'delivery' = 'wake_up'
          or pg_catalog.to_jsonb(i) -> 'namespaces_wake_up' <> '[]',
        false
      )
    ) in (
      ({{ from.version }}, {{ from.triggers_enabled }}, {{ from.parks }}),
      ({{ to.version }}, {{ to.triggers_enabled }}, {{ to.parks }})
    )
  ) then
    raise exception 'another pgmq-notify is installed in this database than the one that this migration changes'
      using hint = 'Write a whole one: pgmq-notify generate-migration --full';
  end if;
end
$pgmq_notify$;
