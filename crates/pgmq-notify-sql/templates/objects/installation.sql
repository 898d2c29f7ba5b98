-- The configuration. The triggers do not read it: what they need is worked out once per queue and
-- stands in their arguments.
create table if not exists pgmq_notify.installation (
  singleton boolean primary key default true check (singleton),
  version text not null,
  triggers_enabled boolean not null,
  queue_naming_pattern text not null,
  namespace_regex text not null,
  channels_prefix text,
  global_channel boolean not null,
  max_payload_size integer not null,
  payload boolean not null,
  namespaces_with_payload text[] not null,
  namespaces_without_payload text[] not null,
  delivery text not null,
  namespaces_every text[] not null,
  namespaces_wake_up text[] not null,
  installed_at timestamp with time zone not null default pg_catalog.now()
);
-- An installation of an earlier state lacks them. Asked first, because ALTER TABLE locks out whoever reads the
-- configuration, which without triggers is every sender.
do $pgmq_notify$
begin
  if not exists (
    select from pg_catalog.pg_attribute a
    where a.attrelid = 'pgmq_notify.installation'::pg_catalog.regclass and a.attname = 'delivery'
  ) then
    alter table pgmq_notify.installation
      add column delivery text not null default 'every',
      add column namespaces_every text[] not null default '{}',
      add column namespaces_wake_up text[] not null default '{}';
    alter table pgmq_notify.installation
      alter column delivery drop default,
      alter column namespaces_every drop default,
      alter column namespaces_wake_up drop default;
  end if;
end
$pgmq_notify$;
comment on table pgmq_notify.installation is
  'The configuration that the installed SQL was generated from; one row.';
comment on column pgmq_notify.installation.version is
  'The version of pgmq-notify that generated the SQL.';
comment on column pgmq_notify.installation.queue_naming_pattern is
  'As configured, in the syntax of the Rust crate regex.';
comment on column pgmq_notify.installation.namespace_regex is
  'The same pattern for PostgreSQL; its first group is the namespace.';
comment on column pgmq_notify.installation.channels_prefix is
  'Channels are called <prefix>.pgmq_*.';
comment on column pgmq_notify.installation.max_payload_size is
  'The most bytes of one notification.';
comment on column pgmq_notify.installation.payload is
  'Whether notifications carry bodies, where no namespace says otherwise.';
comment on column pgmq_notify.installation.delivery is
  'every: each message is published; wake_up: those that find every consumer asleep. Where no namespace says otherwise.';
comment on column pgmq_notify.installation.installed_at is
  'When the configuration was last changed.';
