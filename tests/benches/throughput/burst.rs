//! What is published: the event of a real message, many times.

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_tests::Heard;

use crate::support::{Failure, QUEUE, Queue};

/// 200 bytes as PostgreSQL prints it.
pub(crate) const BODY: &str = r#"{"eur": 99, "lines": [{"sku": "A-42", "count": 2}, {"sku": "B-7", "count": 1}], "order": 48151, "remark": "Leave it with the neighbours, the ones on the left, and ring twice", "customer": "c-1623456"}"#;

const FIELD: &str = r#""msg_id":"#;

/// An event as the generated SQL publishes it, with another id each time: PostgreSQL delivers equal notifications of a
/// transaction once.
#[derive(Debug)]
pub(crate) struct Burst {
    before: String,
    after: String,
}

impl Burst {
    /// Sends one message, and keeps what is heard of it.
    pub(crate) async fn of(queue: &Queue) -> Result<Self, Failure> {
        let config = PgmqNotifyConfig::new();
        let mut heard = Heard::messages(queue.database(), &config).await;
        sqlx::query("select pgmq.send($1, $2::text::jsonb)")
            .bind(QUEUE)
            .bind(BODY)
            .execute(queue.database().pool())
            .await?;
        let notification = heard.notification().await;
        let text = notification.payload();
        if !text.contains(BODY) {
            return Err(format!("no event with the body: {text}").into());
        }
        let (before, after) = text.split_once(FIELD).ok_or("an event without an id")?;
        Ok(Self {
            before: format!("{before}{FIELD}"),
            after: after
                .trim_start_matches(|digit: char| digit.is_ascii_digit())
                .to_owned(),
        })
    }

    /// How long an event is, but for the digits of its id.
    pub(crate) fn bytes(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Publishes so many in one transaction.
    pub(crate) async fn publish(&self, queue: &Queue, events: u32) -> Result<(), Failure> {
        sqlx::query(
            "select count(pg_notify($1, $2 || id || $3)) from generate_series(1, $4::bigint) id",
        )
        .bind(queue.channel())
        .bind(&self.before)
        .bind(&self.after)
        .bind(i64::from(events))
        .execute(queue.database().pool())
        .await?;
        Ok(())
    }
}
