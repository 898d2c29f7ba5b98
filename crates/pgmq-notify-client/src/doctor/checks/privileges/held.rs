//! The rights that a role has, by itself, by public and by the roles that it is a member of.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::doctor::RoleKind;
use crate::doctor::examination::{Examination, failed};
use crate::doctor::facts::Table;
use crate::doctor::quoted::literal;
use crate::{ClientError, ErrorKind};

/// The rights of one role.
pub(super) struct Held {
    /// As SQL spells it.
    pub(super) role: String,
    pub(super) is_superuser: bool,
    /// Whether it may create queues.
    pub(super) may_create: bool,
    pub(super) may_create_schemas: bool,
    pub(super) database: String,
    /// Those that are there, and whether it may use them.
    pub(super) schemas: Vec<(String, bool)>,
    /// Who owns the schema `pgmq_notify`, where the role is no member of that.
    pub(super) owner_of_schema: Option<String>,
    pub(super) tables: Vec<HeldTable>,
    pub(super) functions: Vec<HeldFunction>,
    /// Their names, also of those that are left out of `tables`.
    pub(super) all_queues: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Meta,
    Queue,
    Archive,
    Ours,
}

pub(super) struct HeldTable {
    pub(super) what: What,
    /// Of a queue or its archive.
    queue: Option<String>,
    pub(super) relation: String,
    /// As `grant` spells them.
    pub(super) privileges: Vec<&'static str>,
    pub(super) owner: String,
    /// Whether the role is its owner, or a member of that.
    pub(super) is_owned: bool,
    /// Whether it has any right, be it on a column.
    has_any: bool,
}

pub(super) struct HeldFunction {
    pub(super) name: String,
    pub(super) signature: String,
    pub(super) may_execute: bool,
    /// Else it is ours.
    pub(super) is_of_pgmq: bool,
}

impl Held {
    /// Nothing where the server refuses to say.
    pub(super) async fn look(
        it: &mut Examination<'_>,
        name: &str,
    ) -> Result<Option<Self>, ClientError> {
        let what = format!("rights of the role {name}");
        let role = literal(name);
        let sql = format!(
            "select quote_ident(r.rolname), r.rolsuper,
              coalesce((select has_schema_privilege(r.oid, n.oid, 'create') from pg_namespace n where n.nspname = 'pgmq'), false),
              has_database_privilege(r.oid, current_database(), 'create'),
              quote_ident(current_database())
            from pg_roles r where r.rolname = {role}"
        );
        let rows = it.ask(&what, &sql).await?;
        let Some(row) = rows.first() else {
            let text = format!("doctor: there is no role {name:?}");
            return Err(ClientError::new(ErrorKind::InvalidArgument, text));
        };
        let mut held = Self::new(row).map_err(failed)?;
        held.all_queues = it.facts.queues.iter().map(|it| it.name.clone()).collect();
        if held.is_superuser {
            return Ok(Some(held));
        }
        for row in it.ask(&what, &schemas(&role)).await? {
            held.add_schema(&row).map_err(failed)?;
        }
        let readable = it.facts.pgmq.meta == Table::Readable;
        for row in it.ask(&what, &tables(&role, readable)).await? {
            held.tables.push(HeldTable::new(&row).map_err(failed)?);
        }
        for row in it.ask(&what, &functions(&role)).await? {
            held.functions
                .push(HeldFunction::new(&row).map_err(failed)?);
        }
        Ok(Some(held))
    }

    fn new(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            role: row.try_get(0)?,
            is_superuser: row.try_get(1)?,
            may_create: row.try_get(2)?,
            may_create_schemas: row.try_get(3)?,
            database: row.try_get(4)?,
            schemas: Vec::new(),
            owner_of_schema: None,
            tables: Vec::new(),
            functions: Vec::new(),
            all_queues: BTreeSet::new(),
        })
    }

    fn add_schema(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        let name: String = row.try_get(0)?;
        if name == "pgmq_notify" && !row.try_get::<bool, _>(3)? {
            self.owner_of_schema = Some(row.try_get(2)?);
        }
        self.schemas.push((name, row.try_get(1)?));
        Ok(())
    }

    pub(super) fn has_schema(&self, name: &str) -> bool {
        self.schemas.iter().any(|(it, _)| it == name)
    }

    /// Whether senders look for consumers that sleep.
    pub(super) fn has_wakes(&self) -> bool {
        self.functions.iter().any(|it| it.name == "wakes")
    }

    /// The queues that are examined, by name.
    pub(super) fn queues(&self) -> impl Iterator<Item = &String> {
        let queues = self.tables.iter().filter(|it| it.what == What::Queue);
        queues.filter_map(|it| it.queue.as_ref())
    }

    /// Leaves out queues that are not `asked` for; where none is, those on which the role has no right of this kind, unless
    /// that is so of every queue. Dead letters go with their queue, and have no archive.
    pub(super) fn keep(&mut self, asked: &[String], kind: RoleKind) {
        let wanted: BTreeSet<String> = if asked.is_empty() {
            let touched = self.tables.iter().filter(|it| it.is_for(kind));
            touched.filter_map(|it| it.queue.clone()).collect()
        } else {
            let dead = asked.iter().map(|it| format!("{it}_dlq"));
            asked.iter().cloned().chain(dead).collect()
        };
        self.tables.retain(|table| match &table.queue {
            None => true,
            Some(queue) if table.what == What::Archive && queue.ends_with("_dlq") => false,
            Some(queue) => wanted.is_empty() || wanted.contains(queue),
        });
    }
}

fn schemas(role: &str) -> String {
    format!(
        "select n.nspname::text, has_schema_privilege(r.oid, n.oid, 'usage'), quote_ident(o.rolname),
          pg_has_role(r.oid, n.nspowner, 'usage')
        from pg_roles r, pg_namespace n join pg_roles o on o.oid = n.nspowner
        where r.rolname = {role} and n.nspname in ('pgmq', 'pgmq_notify')
        order by 1"
    )
}

fn tables(role: &str, readable: bool) -> String {
    let queues = if readable {
        "union all
        select k.kind, m.queue_name::text, 'pgmq', lower(k.prefix || m.queue_name)::name
        from pgmq.meta m, (values ('queue', 'q_'), ('archive', 'a_')) k(kind, prefix)"
    } else {
        ""
    };
    format!(
        "select distinct on (c.oid) k.kind, k.queue, format('%I.%I', n.nspname, c.relname),
          has_table_privilege(r.oid, c.oid, 'select'), has_table_privilege(r.oid, c.oid, 'insert'),
          has_table_privilege(r.oid, c.oid, 'update'), has_table_privilege(r.oid, c.oid, 'delete'),
          coalesce(has_column_privilege(r.oid, c.oid, a.attnum, 'select'), false),
          quote_ident(o.rolname), pg_has_role(r.oid, c.relowner, 'usage'),
          has_table_privilege(r.oid, c.oid, 'delete')
            or has_any_column_privilege(r.oid, c.oid, 'select, insert, update')
        from (
          values ('meta', null, 'pgmq', 'meta'::name), ('ours', null, 'pgmq_notify', 'installation'),
            ('ours', null, 'pgmq_notify', 'parked')
          {queues}
        ) k(kind, queue, schema, relation)
        join pg_namespace n on n.nspname = k.schema
        join pg_class c on c.relnamespace = n.oid and c.relname = k.relation and c.relkind in ('r', 'p')
        join pg_roles o on o.oid = c.relowner
        join pg_roles r on r.rolname = {role}
        left join pg_attribute a on a.attrelid = c.oid and a.attname = 'msg_id' and not a.attisdropped
        order by c.oid, k.queue"
    )
}

fn functions(role: &str) -> String {
    format!(
        "select p.proname::text, format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)),
          has_function_privilege(r.oid, p.oid, 'execute'), n.nspname = 'pgmq'
        from pg_roles r, pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where r.rolname = {role} and n.nspname in ('pgmq', 'pgmq_notify')
        order by 2"
    )
}

impl HeldTable {
    /// Whether what the role may do there is what one of this kind does.
    fn is_for(&self, kind: RoleKind) -> bool {
        match kind {
            RoleKind::Owner => false,
            RoleKind::Producer => self.privileges.contains(&"insert"),
            RoleKind::Listener => self.privileges.contains(&"select"),
            RoleKind::Consumer => self.has_any,
        }
    }

    fn new(row: &PgRow) -> Result<Self, sqlx::Error> {
        let what = match row.try_get::<&str, _>(0)? {
            "meta" => What::Meta,
            "queue" => What::Queue,
            "archive" => What::Archive,
            _ => What::Ours,
        };
        let mut privileges = Vec::new();
        for (at, privilege) in [
            (3, "select"),
            (4, "insert"),
            (5, "update"),
            (6, "delete"),
            (7, "select (msg_id)"),
        ] {
            if row.try_get(at)? {
                privileges.push(privilege);
            }
        }
        Ok(Self {
            what,
            queue: row.try_get(1)?,
            relation: row.try_get(2)?,
            privileges,
            owner: row.try_get(8)?,
            is_owned: row.try_get(9)?,
            has_any: row.try_get(10)?,
        })
    }
}

impl HeldFunction {
    fn new(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get(0)?,
            signature: row.try_get(1)?,
            may_execute: row.try_get(2)?,
            is_of_pgmq: row.try_get(3)?,
        })
    }
}
