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
      array[r.names, r.channel, r.global_channel, r.max_payload_size::text, r.payload::text] as arguments
    from (
      select m.queue_name::text, m.created_at,
        to_regclass(format('pgmq.%I', lower('q_' || m.queue_name)))::oid as relation
      from pgmq.meta m
      where queues.named is null or lower(m.queue_name) = lower(queues.named)
    ) found
    cross join lateral pgmq_notify.route(found.queue_name) r
    where found.relation is not null
    order by found.relation, found.created_at, found.queue_name
  )
  select
    queue.queue_name,
    queue.namespace,
    queue.channel,
    queue.relation::regclass,
    case
      when t.oid is null then 'missing'
      when t.tgfoid <> to_regprocedure('pgmq_notify.message_inserted()')::oid
        or t.tgtype <> 4 -- after insert for each statement
        or t.tgnewtable is distinct from 'inserted'
        or t.tgargs <> (
          select string_agg(convert_to(argument, 'UTF8') || '\x00'::bytea, ''::bytea order by position)
          from unnest(queue.arguments) with ordinality a(argument, position)
        ) then 'stale'
      when t.tgenabled = 'D' then 'disabled'
      else 'installed'
    end,
    format(
      'create or replace trigger pgmq_notify_message_inserted after insert on %s '
      'referencing new table as inserted for each statement '
      'execute function pgmq_notify.message_inserted(%s)',
      queue.relation::regclass,
      (
        select string_agg(quote_literal(argument), ', ' order by position)
        from unnest(queue.arguments) with ordinality a(argument, position)
      )
    )
  from queue
  left join pg_trigger t
    on t.tgrelid = queue.relation and t.tgname = 'pgmq_notify_message_inserted'
$pgmq_notify$;
comment on function pgmq_notify.queues(text) is
  'Every queue (or the named one) with a table, and whether its trigger is installed, missing, stale or disabled.';
