//! Which namespaces do the queues belong to, and how are their channels called?

use pgmq_notify_core::{ChannelName, Namespace};
use sqlx::Row as _;

use crate::doctor::examination::{Examination, failed};
use crate::doctor::quoted::some_of;
use crate::doctor::{FindingCode, Remedy};
use crate::{ClientError, Installation};

const MATCHED: &str = "
select m.queue_name::text, nullif((regexp_match(m.queue_name collate \"C\", i.namespace_regex))[1], '')
from pgmq.meta m, pgmq_notify.installation i
order by m.queue_name collate \"C\"";

pub(super) async fn check(
    it: &mut Examination<'_>,
    installation: &Installation,
) -> Result<(), ClientError> {
    let config = installation.config();
    let mut unmatched = Vec::new();
    let mut namespaces = Vec::new();
    for row in it.ask("the namespaces of the queues", MATCHED).await? {
        let queue: String = row.try_get(0).map_err(failed)?;
        match row.try_get::<Option<String>, _>(1).map_err(failed)? {
            Some(namespace) => namespaces.push(namespace),
            None => unmatched.push(queue),
        }
    }
    if !unmatched.is_empty() {
        let pattern = config.queue_naming_pattern();
        it.find(
            FindingCode::QueueUnmatched,
            some_of(&unmatched),
            format!("The pattern {pattern} does not match this name, so the queue belongs to the namespace default."),
            Remedy::Advice(
                "where that is not meant, configure a pattern that matches (`pgmq-notify upgrade --queue-pattern`)".into(),
            ),
        );
    }
    namespaces.sort();
    namespaces.dedup();
    let prefix = config.channels_prefix();
    namespaces.retain(|namespace| is_shortened(prefix, namespace));
    for namespace in namespaces {
        let name = channel(&config, &namespace);
        it.find(
            FindingCode::ChannelShortened,
            format!("the namespace {namespace}"),
            format!(
                "With its prefix the name of its channel has more than {} bytes, so it is {name}. Our listeners know; others \
                 have to use that name.",
                ChannelName::MAX_BYTES
            ),
            Remedy::Advice(
                "where that is not wanted, configure a shorter prefix (`pgmq-notify upgrade --channel-prefix`)".into(),
            ),
        );
    }
    Ok(())
}

fn is_shortened(prefix: Option<&str>, namespace: &str) -> bool {
    let prefix = prefix.map_or(0, |it| it.len() + 1);
    prefix + "pgmq_message_ready.".len() + namespace.len() > ChannelName::MAX_BYTES
}

fn channel(config: &pgmq_notify_core::PgmqNotifyConfig, namespace: &str) -> String {
    let name = config
        .channels()
        .ok()
        .zip(Namespace::new(namespace).ok())
        .map(|(channels, namespace)| channels.message_ready(&namespace));
    name.map_or_else(|| "shortened".to_owned(), |it| format!("{:?}", it.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_of_63_bytes_is_not_shortened() {
        assert!(!is_shortened(None, &"n".repeat(44)));
        assert!(is_shortened(None, &"n".repeat(45)));
        assert!(!is_shortened(Some("app"), &"n".repeat(40)));
        assert!(is_shortened(Some("app"), &"n".repeat(41)));
    }
}
