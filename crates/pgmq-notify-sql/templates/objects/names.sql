-- Without triggers these functions run for every send. PostgreSQL does not expand a function that sets
-- search_path, and plans one in the language sql anew in every query; plpgsql keeps its plans.
create or replace function pgmq_notify.namespace_of(queue_name text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
begin
  return (
    select coalesce(nullif((regexp_match(namespace_of.queue_name collate "C", i.namespace_regex))[1], ''), 'default')
    from pgmq_notify.installation i
  );
end
$pgmq_notify$;
comment on function pgmq_notify.namespace_of(text) is
  'The namespace of a queue: what the naming pattern captures in its name, or default.';

-- LISTEN truncates a name over 63 bytes and pg_notify fails on it. The Rust crates shorten in the
-- same way: the first characters within 46 bytes, ~, and 16 hexadecimal digits of the SHA-256.
create or replace function pgmq_notify.channel_name(name text)
returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  full_name text := (
    select coalesce(i.channels_prefix || '.', '') || channel_name.name
    from pgmq_notify.installation i
  );
begin
  if octet_length(full_name) <= 63 then
    return full_name;
  end if;
  return (
    select left(full_name, max(n)) from generate_series(1, 46) n
    where octet_length(left(full_name, n)) <= 46
  ) || '~' || left(encode(sha256(convert_to(full_name, 'UTF8')), 'hex'), 16);
end
$pgmq_notify$;
comment on function pgmq_notify.channel_name(text) is
  'A channel of this installation: with its prefix, and shortened when it is longer than 63 bytes.';

-- Its result was another one in an earlier state, which `create or replace` would refuse to change.
do $pgmq_notify$
begin
  if exists (
    select from pg_catalog.pg_proc p
    where p.oid = pg_catalog.to_regprocedure('pgmq_notify.route(text)') and 'attention' <> all (p.proargnames)
  ) then
    drop function pgmq_notify.route(text);
  end if;
end
$pgmq_notify$;
create or replace function pgmq_notify.route(
  queue_name text,
  out namespace text,
  out names text,
  out channel text,
  out global_channel text,
  out max_payload_size integer,
  out payload boolean,
  out parked text,
  out attention bigint
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
begin
  namespace := pgmq_notify.namespace_of(route.queue_name);
  names := format('"queue_name":%s,"namespace":%s', to_json(route.queue_name), to_json(route.namespace));
  select
    pgmq_notify.channel_name('pgmq_message_ready.' || route.namespace),
    case when i.global_channel then pgmq_notify.channel_name('pgmq_message_ready') else '' end,
    i.max_payload_size,
    case
      when route.namespace = any (i.namespaces_with_payload) then true
      when route.namespace = any (i.namespaces_without_payload) then false
      else i.payload
    end,
    -- The name of the table as PostgreSQL has it: cut off after 63 bytes.
    case
      when route.namespace = any (i.namespaces_wake_up) then lower('q_' || route.queue_name)::name::text
      when route.namespace = any (i.namespaces_every) or i.delivery = 'every' then ''
      else lower('q_' || route.queue_name)::name::text
    end
  into channel, global_channel, max_payload_size, payload, parked
  from pgmq_notify.installation i;
  if parked <> '' then
    attention := (
      'x' || left(encode(sha256(convert_to('pgmq_notify.attended:' || parked, 'UTF8')), 'hex'), 16)
    )::bit(64)::bigint;
  end if;
end
$pgmq_notify$;
comment on function pgmq_notify.route(text) is
  'Where the events of a queue go and what they say: worked out once per queue, not per message. With the delivery wake_up, parked is its name in pgmq_notify.parked, and attention the advisory lock of a consumer that attends to it.';
