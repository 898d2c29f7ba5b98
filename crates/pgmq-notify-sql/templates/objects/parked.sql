-- Who sleeps. A consumer that is idle has a row for each of its queues, and refreshes it every few seconds;
-- those that have expired say nothing. A crash of the server empties the table, and so does a failover:
-- consumers that connect again write theirs anew.
create unlogged table if not exists pgmq_notify.parked (
  queue text collate "C" not null,
  consumer bigint not null,
  parked_until timestamp with time zone not null,
  constraint parked_pkey primary key (queue, consumer)
) with (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);
-- In its order what has expired is never read, however many old versions a long transaction keeps alive.
-- Not by "if not exists": that locks the table until the commit even where there is nothing to do, and
-- nobody could go to sleep.
do $pgmq_notify$
begin
  if pg_catalog.to_regclass('pgmq_notify.parked_until_idx') is null then
    create index parked_until_idx on pgmq_notify.parked (queue, parked_until);
  end if;
end
$pgmq_notify$;
comment on table pgmq_notify.parked is
  'Consumers that sleep, or would if they were not at work: senders to a queue with the delivery wake_up notify only if there is a row that has not expired.';
comment on column pgmq_notify.parked.queue is
  'The name of the queue''s table.';
comment on column pgmq_notify.parked.consumer is
  'A number that the consumer has drawn for itself. Events name those that are to look.';

-- It runs as its owner, because a sender may know no more than how to insert. Its argument is compared,
-- nothing else. To call it a sender has to see the schema; that opens nothing else in there.
create or replace function pgmq_notify.wakes(queue text)
returns text
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
-- A table of one page PostgreSQL would read wholly, and keep to that in a session while the table grows.
set enable_seqscan = off
set enable_bitmapscan = off
as $pgmq_notify$
declare
  -- From before the snapshot of the query below, in which a refreshed row may be missing otherwise.
  looked_at timestamp with time zone := clock_timestamp();
  names text;
begin
  -- The snapshot may be older than any row, so what it shows proves nothing: everybody is told. There is no
  -- look either, which at SERIALIZABLE would be a conflict with who goes to sleep.
  if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
    return '';
  end if;
  select ',"wakes":[' || string_agg(chosen.consumer::text, ',') || ']' into names
  from (
    select latest.consumer
    from (
      select p.consumer
      from pgmq_notify.parked p
      where p.queue = wakes.queue and p.parked_until > looked_at
      order by p.parked_until desc
      limit 64
    ) latest
    order by random()
    limit 2
  ) chosen;
  return names;
end
$pgmq_notify$;
comment on function pgmq_notify.wakes(text) is
  'For the end of an event: two consumers, by chance, of those that sleep at this queue (the name of its table), nothing where all are to be told, null where nobody is.';
grant usage on schema pgmq_notify to public;
-- It is not where the default privileges were changed.
grant execute on function pgmq_notify.wakes(text) to public;
