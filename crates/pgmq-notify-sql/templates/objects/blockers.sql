  select coalesce(
    string_agg(
      pg_catalog.format('backend %s has had %s locked for %s', b.pid, b.relations, b.since), '; ' order by b.since desc
    ),
    'they are busy, but no transaction stays open'
  )
  into blockers
  from (
    select
      l.pid,
      pg_catalog.string_agg(distinct l.relation::pg_catalog.regclass::text, ', ') as relations,
      pg_catalog.date_trunc('second', max(pg_catalog.clock_timestamp() - a.xact_start)) as since
    from pg_catalog.pg_locks l
    join pg_catalog.pg_class c on c.oid = l.relation
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_stat_activity a on a.pid = l.pid
    where l.granted and l.pid <> pg_catalog.pg_backend_pid()
      and (
        n.nspname = 'pgmq' and (c.relname like 'q\_%' or c.relname = 'meta')
        and l.mode = any ({{ conflicting }})
        or n.nspname = 'pgmq_notify' and c.relname = 'parked'
      )
    group by l.pid
    having max(pg_catalog.clock_timestamp() - a.xact_start) > interval '1 second'
  ) b;
