create or replace function pgmq_notify.queues(named text default null)
returns table (
  queue_name text,
  namespace text,
  channel text,
  relation regclass,
  trigger_state text,
  trigger_definition text
)
language sql stable
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
  -- PGMQ lower-cases the table, so that two names may share one: the older one names its events.
  with queue as (
    select distinct on (found.relation) found.*, r.namespace, r.channel,
      array[r.names, r.channel, r.global_channel, r.max_payload_size::text, r.payload::text, r.parked] as arguments,
      -- Whether nobody attends to the queue: a consumer that does holds the lock. Shared, so that senders do
      -- not meet each other, and given back at once. Functions of PostgreSQL only: under load none of ours
      -- is called.
      case when r.parked <> '' then format(
        'case when pg_catalog.pg_try_advisory_lock_shared(%1$s) then pg_catalog.pg_advisory_unlock_shared(%1$s) else false end',
        r.attention
      ) end as probe
    from (
      select m.queue_name::text, m.created_at,
        to_regclass(format('pgmq.%I', lower('q_' || m.queue_name)))::oid as relation
      from pgmq.meta m
      where queues.named is null or lower(m.queue_name) = lower(queues.named)
    ) found
    cross join lateral pgmq_notify.route(found.queue_name) r
    where found.relation is not null
    order by found.relation, found.created_at, found.queue_name
  ),
  -- What each queue is to have. The second is one for each row, because only such a one has a condition
  -- that sees the row: PostgreSQL calls no function for a read or for a longer lease.
  wanted(function, type, level, event, newtable, first) as (
    values
      -- The type as in pg_trigger, for an after trigger: 4 is insert, 16 update, 1 each row.
      ('message_inserted', 4, 'statement', 'insert', 'inserted', null),
      ('message_released', 17, 'row', 'update', null, 'new.vt < old.vt')
  ),
  present as (
    select
      queue.relation,
      wanted.*,
      case
        when wanted.first is null then queue.probe
        when queue.probe is null then wanted.first
        else format('case when %s then %s else false end', wanted.first, queue.probe)
      end as condition,
      format('pgmq_notify_%s', wanted.function) as name,
      case
        when t.oid is null then 'missing'
        when t.tgfoid <> to_regprocedure(format('pgmq_notify.%s()', wanted.function))::oid
          or t.tgtype <> wanted.type
          or t.tgnewtable is distinct from wanted.newtable
          -- Its text could only be had with a lock on the queue.
          or (t.tgqual is null) <> (coalesce(wanted.first, queue.probe) is null)
          or t.tgargs <> (
            select string_agg(convert_to(argument, 'UTF8') || '\x00'::bytea, ''::bytea order by position)
            from unnest(queue.arguments) with ordinality a(argument, position)
          ) then 'stale'
        when t.tgenabled = 'D' then 'disabled'
        else 'installed'
      end as state,
      -- What somebody disabled stays so when it is replaced, and so does a queue that gets its second.
      coalesce(t.tgenabled = 'D', bool_or(t.tgenabled = 'D') over (partition by queue.relation), false) as disabled,
      (
        select string_agg(quote_literal(argument), ', ' order by position)
        from unnest(queue.arguments) with ordinality a(argument, position)
      ) as arguments
    from queue
    cross join wanted
    left join pg_trigger t
      on t.tgrelid = queue.relation and t.tgname = format('pgmq_notify_%s', wanted.function)
  ),
  state as (
    select
      present.relation,
      case
        when bool_or(present.state = 'missing') then 'missing'
        when bool_or(present.state = 'stale') then 'stale'
        when bool_or(present.state = 'disabled') then 'disabled'
        else 'installed'
      end as state,
      string_agg(
        format(
          'create or replace trigger %I after %s on %s%s for each %s%s execute function pgmq_notify.%s(%s)',
          present.name,
          present.event,
          present.relation::regclass,
          ' referencing new table as ' || present.newtable,
          present.level,
          ' when (' || present.condition || ')',
          present.function,
          present.arguments
        ) || case
          when present.disabled then
            format('; alter table %s disable trigger %I', present.relation::regclass, present.name)
          else ''
        end,
        '; ' order by present.name
      ) filter (where present.state in ('missing', 'stale')) as definition
    from present
    group by present.relation
  )
  select
    queue.queue_name,
    queue.namespace,
    queue.channel,
    queue.relation::regclass,
    state.state,
    state.definition
  from queue
  join state on state.relation = queue.relation
$pgmq_notify$;
comment on function pgmq_notify.queues(text) is
  'Every queue (or the named one) with a table, and whether its two triggers are installed, or one is missing, stale or disabled, in this order. trigger_definition makes what is missing or stale.';
