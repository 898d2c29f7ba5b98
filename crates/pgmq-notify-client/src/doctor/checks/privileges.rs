//! Has a role the rights that it needs? Those of `docs/operations.md`, on what there is.

mod held;
mod needed;

use std::collections::BTreeMap;

use self::held::{Held, What};
use self::needed::Needed;
use crate::doctor::examination::Examination;
use crate::doctor::facts::Table;
use crate::doctor::quoted::some_of;
use crate::doctor::{Doctor, FindingCode, Remedy, RoleKind};
use crate::{ClientError, Installation};

pub(super) async fn check(
    it: &mut Examination<'_>,
    doctor: &Doctor<'_>,
    installation: Option<&Installation>,
) -> Result<(), ClientError> {
    let name = doctor
        .role
        .clone()
        .unwrap_or_else(|| it.facts.role_name.clone());
    let Some(mut held) = Held::look(it, &name).await? else {
        return Ok(());
    };
    let is_unknown = |it: &&String| !held.all_queues.contains(*it);
    if it.facts.pgmq.meta == Table::Readable
        && let Some(queue) = doctor.queues.iter().find(is_unknown)
    {
        let text = format!("doctor: there is no queue {queue:?}");
        return Err(ClientError::new(crate::ErrorKind::QueueNotFound, text));
    }
    if held.is_superuser {
        return Ok(());
    }
    if it.facts.pgmq.meta != Table::Readable {
        it.not_checked(
            format!("rights of the role {name} on queues"),
            "The role that is connected may not read which queues there are.",
            Remedy::Sql(format!(
                "grant usage on schema pgmq to {role};\ngrant select on pgmq.meta to {role};",
                role = it.facts.role
            )),
        );
    }
    let kind = doctor.kind;
    held.keep(&doctor.queues, kind);
    let needed = Needed {
        kind,
        triggers_enabled: installation.is_none_or(|it| it.config().triggers_enabled()),
    };
    let role = held.role.clone();
    for (privileges, objects) in schemas(&needed, &held) {
        report(
            it,
            &name,
            kind,
            &format!("{privileges} on schema"),
            &objects,
            &role,
        );
    }
    if kind == RoleKind::Owner {
        owner(it, &name, &held);
    }
    for (privileges, objects) in tables(&needed, &held) {
        report(
            it,
            &name,
            kind,
            &format!("{privileges} on"),
            &objects,
            &role,
        );
    }
    let functions: Vec<_> = held
        .functions
        .iter()
        .filter(|function| !function.may_execute && needed.function(function))
        .map(|function| function.signature.clone())
        .collect();
    if !functions.is_empty() {
        report(it, &name, kind, "execute on function", &functions, &role);
    }
    if kind == RoleKind::Consumer && !held.may_create {
        dead_letter_queues(it, &name, &held);
    }
    Ok(())
}

/// What is missing, and where.
type Missing = BTreeMap<String, Vec<String>>;

fn schemas(needed: &Needed, held: &Held) -> Missing {
    let mut missing = Missing::new();
    for (schema, may_use) in &held.schemas {
        if !may_use && needed.schema(schema, held.has_wakes()) {
            missing
                .entry("usage".into())
                .or_default()
                .push(schema.clone());
        }
    }
    missing
}

fn tables(needed: &Needed, held: &Held) -> Missing {
    let mut missing = Missing::new();
    for table in &held.tables {
        let lacking: Vec<_> = needed
            .table(table)
            .iter()
            .filter(|privilege| !table.privileges.iter().any(|it| it == *privilege))
            .copied()
            .collect();
        if !lacking.is_empty() {
            missing
                .entry(lacking.join(", "))
                .or_default()
                .push(table.relation.clone());
        }
    }
    missing
}

/// `what` is what stands between `grant` and the objects.
fn report(
    it: &mut Examination<'_>,
    name: &str,
    kind: RoleKind,
    what: &str,
    objects: &[String],
    role: &str,
) {
    let kind = kind.as_str();
    it.find(
        FindingCode::PrivilegeMissing,
        format!("the role {name}"),
        format!("As a {kind} it needs: {what} {}.", some_of(objects)),
        Remedy::Sql(format!("grant {what} {} to {role};", objects.join(", "))),
    );
}

fn owner(it: &mut Examination<'_>, name: &str, held: &Held) {
    let mut owners: Vec<_> = held
        .tables
        .iter()
        .filter(|table| !table.is_owned && table.what != What::Ours)
        .map(|table| table.owner.clone())
        .collect();
    owners.extend(held.owner_of_schema.clone());
    owners.sort();
    owners.dedup();
    if !owners.is_empty() {
        let statements = owners
            .iter()
            .map(|it| format!("grant {it} to {};", held.role));
        let statements: Vec<_> = statements.collect();
        it.find(
            FindingCode::PrivilegeMissing,
            format!("the role {name}"),
            format!(
                "As an owner it has to be a member of {}, to which PGMQ's tables or the schema pgmq_notify belong: only an owner \
                 may put triggers on a table.",
                some_of(&owners)
            ),
            Remedy::Sql(statements.join("\n")),
        );
    }
    if !held.has_schema("pgmq_notify") && !held.may_create_schemas {
        let what = "create on database";
        report(
            it,
            name,
            RoleKind::Owner,
            what,
            std::slice::from_ref(&held.database),
            &held.role,
        );
    }
}

/// A consumer creates the queue of its dead letters when it buries the first one.
fn dead_letter_queues(it: &mut Examination<'_>, name: &str, held: &Held) {
    let queues = held.queues().filter(|it| !it.ends_with("_dlq"));
    let missing: Vec<_> = queues
        .map(|it| format!("{it}_dlq"))
        .filter(|it| !held.all_queues.contains(it))
        .collect();
    if missing.is_empty() {
        return;
    }
    let statements: Vec<_> = missing
        .iter()
        .map(|it| {
            format!(
                "select pgmq.create({});\ngrant select, insert, update, delete on pgmq.{} to {};",
                crate::doctor::quoted::literal(it),
                crate::doctor::quoted::identifier(&format!("q_{it}").to_lowercase()),
                held.role
            )
        })
        .collect();
    it.find(
        FindingCode::DeadLetterQueueMissing,
        some_of(&missing),
        format!(
            "The role {name} may not create queues, so it could not bury a message there. A consumer that was given another queue \
             for its dead letters does not need it."
        ),
        Remedy::Sql(statements.join("\n")),
    );
}
