-- Once for each row that its WHEN lets through, after the statement. Everybody may execute it, as PostgreSQL
-- has it by default: who adds a partition to a queue (pg_partman) creates this trigger there.
create or replace function pgmq_notify.message_released()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $pgmq_notify$
declare
  names text := tg_argv[0];
  channel text := tg_argv[1];
  global_channel text := tg_argv[2];
  parked text := tg_argv[5];
{% include "objects/declare_publish.sql" %}
  msg_id bigint := new.msg_id;
  vt timestamp with time zone := new.vt;
  released text := current_setting('pgmq_notify.released', true);
  count integer := 0;
begin
{%- let returns = " null" %}
  -- It was visible before: no news.
  if old.vt <= ready then
    return null;
  end if;
  -- A transaction keeps its notifications in memory until it commits. A batch names its messages in a
  -- few; these are as many as the rows, which may be any number, so that there is a limit: whoever
  -- waits for this queue is awake by then.
  if starts_with(released, tg_relid || ' ') then
    count := split_part(released, ' ', 2);
    if count >= {{ most_released }} then
      return null;
    end if;
  end if;
{% include "objects/check_queue.sql" %}
{%- if parks %}
{% include "objects/check_parked.sql" %}
{%- endif %}
  perform set_config('pgmq_notify.released', tg_relid || ' ' || count + 1, true);
{% include "objects/message_times.sql" %}
{% include "objects/message_ready.sql" %}
{% include "objects/publish_event.sql" %}
  return null;
end
$pgmq_notify$;
comment on function pgmq_notify.message_released() is
  'Publishes a message that an update makes visible earlier than it was going to be, without its body. The arguments are those of message_inserted.';
