//! Which queues there are, for those that are named and for those that are meant.

use std::collections::BTreeSet;

use sqlx::PgPool;

use super::refused;
use crate::failure::Failure;

/// A queue and where its events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownQueue {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

/// Every queue, by name.
pub(crate) async fn known_queues(pool: &PgPool) -> Result<Vec<KnownQueue>, Failure> {
    let rows: Result<Vec<(String, String)>, _> = sqlx::query_as(
        "select m.queue_name::text, pgmq_notify.namespace_of(m.queue_name::text)
        from pgmq.meta m order by m.queue_name collate \"C\"",
    )
    .persistent(false)
    .fetch_all(pool)
    .await;
    let rows = rows.map_err(|error| refused("list the queues", &error))?;
    let queue = |(name, namespace)| KnownQueue { name, namespace };
    Ok(rows.into_iter().map(queue).collect())
}

/// The names of all queues; none where this role may not know them.
pub(crate) async fn names_of_queues(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select m.queue_name::text from pgmq.meta m order by m.queue_name collate \"C\"",
    )
    .persistent(false)
    .fetch_all(pool)
    .await
    .unwrap_or_default()
}

/// The remedy for a queue that does not exist.
pub(crate) fn instead_of(name: &str, names: &[String]) -> String {
    let nearest = nearest(name, names);
    if !nearest.is_empty() {
        return format!("similar queues: {}", nearest.join(", "));
    }
    match names {
        [] => "`pgmq-notify status` lists the queues; select pgmq.create('name') makes one".into(),
        [_, ..] if names.len() <= SHOWN => format!("the queues are {}", quoted(names).join(", ")),
        _ => "`pgmq-notify status` lists the queues".into(),
    }
}

/// As many as a line has room for.
const SHOWN: usize = 5;

/// The most similar names, at most three, quoted.
fn nearest(name: &str, names: &[String]) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut scored: Vec<_> = names
        .iter()
        .map(|it| (strsim::jaro_winkler(&wanted, &it.to_lowercase()), it))
        .filter(|(similarity, _)| *similarity > 0.85)
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    scored.truncate(3);
    let found: BTreeSet<_> = scored.iter().map(|(_, name)| *name).collect();
    quoted(found)
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    names.into_iter().map(|it| format!("{it:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_named_or_else_what_there_is() {
        let names = ["billing_queue", "orders_queue", "orders_queue_dlq"].map(String::from);
        for (name, hint) in [
            (
                "order_queue",
                "similar queues: \"orders_queue\", \"orders_queue_dlq\"",
            ),
            (
                "mail",
                "the queues are \"billing_queue\", \"orders_queue\", \"orders_queue_dlq\"",
            ),
        ] {
            assert_eq!(instead_of(name, &names), hint);
        }
        assert!(instead_of("mail", &[]).contains("pgmq.create"));
        let many: Vec<_> = (0..9).map(|n| format!("queue_{n}")).collect();
        assert_eq!(
            instead_of("mail", &many),
            "`pgmq-notify status` lists the queues"
        );
    }
}
