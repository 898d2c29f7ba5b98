//! What can hold "somebody looks into this queue by himself", each with a trigger that asks it.

/// One row per queue and consumer, as the protocol of wake-up delivery has it.
const TABLE: &str = r#"
create unlogged table public.parked (
  queue text collate "C" not null,
  consumer bigint not null,
  attends boolean not null,
  until timestamp with time zone not null,
  primary key (queue, consumer)
);
create index on public.parked (queue, attends, until);
"#;

const ATTENDS: &str = "
insert into public.parked values ('q_orders_queue', 1, true, clock_timestamp() + interval '1 day');
";

/// As autovacuum leaves it. By these statistics the table is so small that its index is not worth while.
const ANALYZE: &str = "analyze public.parked";

const SLEEPS: &str = "
insert into public.parked values ('q_orders_queue', 1, false, clock_timestamp() + interval '1 day')
on conflict (queue, consumer) do update set attends = excluded.attends, until = excluded.until
";

/// Only the index on `until` gives this order without a sort, so it is the one that is read, from the newest version of a row
/// on. Without the order the planner finds the key as good for a small table, and every old version is read.
const ATTENDED_IN_ORDER: &str = "
  perform from public.parked p
  where p.queue operator(pg_catalog.=) tg_table_name::pg_catalog.text
    and p.attends and p.until operator(pg_catalog.>) now
  order by p.until desc limit 1;
  if found then return null; end if;";

const ATTENDED: &str = "
  if exists (
    select from public.parked p
    where p.queue operator(pg_catalog.=) tg_table_name::pg_catalog.text
      and p.attends and p.until operator(pg_catalog.>) now
  ) then
    return null;
  end if;";

const PATH: &str = "set search_path = pg_catalog, pg_temp";
/// What a session has planned while the table was small stays when it has grown.
const BY_INDEX: &str = "set enable_seqscan = off";
const PATH_BY_INDEX: &str = "set search_path = pg_catalog, pg_temp set enable_seqscan = off";
const PATH_BY_INDEX_AS_OWNER: &str =
    "security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off";

/// Its value is the time until which somebody attends, in milliseconds.
const SEQUENCE: &str = "
create sequence public.attends;
select setval('public.attends', (date_part('epoch', clock_timestamp() + interval '1 day') * 1000)::bigint);
";

const SEQUENCE_HAS_PASSED: &str = "select setval('public.attends', 1)";

const LOOK_AT_SEQUENCE: &str = "
begin
  if pg_sequence_last_value('public.attends'::regclass) < date_part('epoch', clock_timestamp()) * 1000 then
    perform pg_notify('orders', '');
  end if;
  return null;
end";

const WHEN_SEQUENCE_HAS_PASSED: &str = "when (
  pg_catalog.pg_sequence_last_value('public.attends'::regclass)
    < pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000
)";

const HOLD_LOCK: &str = "select pg_advisory_lock(4711)";

const LET_LOCK_GO: &str = "
select pg_terminate_backend(pid, 5000) from pg_locks
where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
";

const LOOK_AT_LOCK: &str = "
begin
  if pg_try_advisory_xact_lock_shared(4711) then
    perform pg_notify('orders', '');
  end if;
  return null;
end";

/// As the generated trigger asks.
const WHEN_NOBODY_HOLDS_LOCK: &str = "when (
  case when pg_catalog.pg_try_advisory_lock_shared(4711) then pg_catalog.pg_advisory_unlock_shared(4711) else false end
)";

const NOTIFY: &str = "begin perform pg_notify('orders', clock_timestamp()::text); return null; end";
const NOTHING: &str = "begin return null; end";

/// A way for a sender to find out that nobody has to be told.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// What is looked at, and as it is while somebody attends.
    setup: Vec<&'static str>,
    trigger: Option<Trigger>,
    /// What the session of somebody who attends has done, and holds.
    pub(crate) held: Option<&'static str>,
    /// Whether the row was renewed many times while an old transaction keeps all of its versions.
    pub(crate) renewed: bool,
    /// After it, somebody sleeps and a sender has to notify.
    pub(crate) falls_asleep: Option<&'static str>,
    /// Whether it notifies of every message from the beginning.
    pub(crate) always_notifies: bool,
}

#[derive(Debug, Clone)]
struct Trigger {
    attributes: &'static str,
    body: String,
    when: &'static str,
}

impl Trigger {
    fn new(body: impl Into<String>) -> Self {
        Self {
            attributes: PATH,
            body: body.into(),
            when: "",
        }
    }
}

impl Candidate {
    fn new(name: &'static str, trigger: Option<Trigger>) -> Self {
        Self {
            name,
            setup: Vec::new(),
            trigger,
            held: None,
            renewed: false,
            falls_asleep: None,
            always_notifies: false,
        }
    }

    /// With these attributes of the function, and this look for somebody who attends.
    fn table(name: &'static str, attributes: &'static str, attended: &'static str) -> Self {
        // The second question is only asked when nobody attends.
        let body = format!(
            "
declare
  now timestamp with time zone := pg_catalog.clock_timestamp();
  woken bigint[];
begin
  if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
    perform pg_catalog.pg_notify('orders', '');
    return null;
  end if;{attended}
  select pg_catalog.array_agg(p.consumer) into woken
  from (
    select p.consumer from public.parked p
    where p.queue operator(pg_catalog.=) tg_table_name::pg_catalog.text
      and not p.attends and p.until operator(pg_catalog.>) now
    order by p.until desc
  ) p;
  if woken is not null then
    perform pg_catalog.pg_notify('orders', woken::pg_catalog.text);
  end if;
  return null;
end"
        );
        let trigger = Trigger {
            attributes,
            ..Trigger::new(body)
        };
        Self {
            setup: vec![TABLE, ATTENDS, ANALYZE],
            falls_asleep: Some(SLEEPS),
            ..Self::new(name, Some(trigger))
        }
    }

    fn sequence(name: &'static str, trigger: Trigger) -> Self {
        Self {
            setup: vec![SEQUENCE],
            falls_asleep: Some(SEQUENCE_HAS_PASSED),
            ..Self::new(name, Some(trigger))
        }
    }

    /// All of them; the first is the one that the others are compared with.
    pub(crate) fn all() -> Vec<Self> {
        let by_condition = Trigger {
            when: WHEN_SEQUENCE_HAS_PASSED,
            ..Trigger::new(NOTIFY)
        };
        let by_lock = Trigger {
            when: WHEN_NOBODY_HOLDS_LOCK,
            ..Trigger::new(NOTIFY)
        };
        vec![
            Self::new("no trigger", None),
            Self::new("a trigger that does nothing", Some(Trigger::new(NOTHING))),
            Self::table("table, one attends", PATH_BY_INDEX, ATTENDED_IN_ORDER),
            Self::table(
                "the same, security definer",
                PATH_BY_INDEX_AS_OWNER,
                ATTENDED_IN_ORDER,
            ),
            // Every name above is qualified, so that it could do without.
            Self::table(
                "the same, no fixed search_path",
                BY_INDEX,
                ATTENDED_IN_ORDER,
            ),
            Self {
                setup: vec![TABLE, ANALYZE],
                ..Self::table("table, no row", PATH_BY_INDEX, ATTENDED_IN_ORDER)
            },
            Self {
                renewed: true,
                ..Self::table(
                    "table, renewed 5,000 times",
                    PATH_BY_INDEX,
                    ATTENDED_IN_ORDER,
                )
            },
            Self::table("table, exists()", PATH, ATTENDED),
            Self {
                renewed: true,
                ..Self::table("the same, renewed 5,000 times", PATH, ATTENDED)
            },
            Self::sequence("sequence", Trigger::new(LOOK_AT_SEQUENCE)),
            Self::sequence("sequence, in the trigger's condition", by_condition),
            Self {
                held: Some(HOLD_LOCK),
                falls_asleep: Some(LET_LOCK_GO),
                ..Self::new("advisory lock", Some(Trigger::new(LOOK_AT_LOCK)))
            },
            Self {
                held: Some(HOLD_LOCK),
                falls_asleep: Some(LET_LOCK_GO),
                ..Self::new("advisory lock, in the trigger's condition", Some(by_lock))
            },
            Self {
                always_notifies: true,
                ..Self::new("one pg_notify, without a look", Some(Trigger::new(NOTIFY)))
            },
        ]
    }

    /// Makes what is looked at, and the trigger.
    pub(crate) fn script(&self) -> String {
        let setup = self.setup.join(";\n");
        let Some(trigger) = &self.trigger else {
            return setup;
        };
        let Trigger {
            attributes,
            body,
            when,
        } = trigger;
        format!(
            "{setup};
create function public.look() returns trigger language plpgsql {attributes}
as $look${body}$look$;
create trigger look after insert on pgmq.q_orders_queue
  referencing new table as inserted for each statement {when} execute function public.look();"
        )
    }
}
