use pgmq_notify_core::RawJson;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};

use super::changes::FIRST_FAILURE;
use super::held::Key;
use super::queue::Queue;
use super::settlement::DeadReason;
use crate::Message;
use crate::function::Schema;

/// The header that a dead letter carries.
pub(crate) const DEAD_LETTER: &str = "x-pgmq-notify-dead-letter";
/// Headers that are no object, which a header cannot be added to.
pub(crate) const OTHER_HEADERS: &str = "x-pgmq-notify-headers";

/// What is known of a message that was moved to a dead-letter queue, from its headers.
///
/// Times are RFC 3339 as PostgreSQL writes them into JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it came from, and where [`redrive`](crate::PgmqNotifyClient::redrive) puts it.
    pub queue: String,
    /// Its id there.
    pub msg_id: i64,
    /// How often it was tried.
    pub read_count: u32,
    /// When it was sent.
    pub enqueued_at: String,
    /// `attempts`: tried as often as the policy allows. `fatal`: its handler said so. `undecodable`:
    /// its body is not what the handler takes.
    pub reason: String,
    /// The error of the first failure that was recorded.
    pub first_error: String,
    /// When that was.
    pub first_failed_at: String,
    /// The error that made it a dead letter.
    pub last_error: String,
    /// When that was.
    pub dead_at: String,
}

impl<T> Message<T> {
    /// Why the message is here, if it is a dead letter.
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        #[derive(Deserialize)]
        struct Headers {
            #[serde(rename = "x-pgmq-notify-dead-letter")]
            dead_letter: DeadLetter,
        }

        let headers = self.headers.as_ref().map(RawJson::decode::<Headers>)?;
        headers.ok().map(|it| it.dead_letter)
    }
}

/// A message on its way.
pub(crate) struct Letter<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) key: Key,
    pub(crate) reason: DeadReason,
    pub(crate) error: &'a str,
    pub(crate) sender: Schema,
}

/// Moves it, in one statement; false when the claim is not the last one or the message is gone.
pub(crate) async fn bury(
    connection: &mut PgConnection,
    letter: &Letter<'_>,
) -> Result<bool, sqlx::Error> {
    let table = &letter.queue.table;
    let schema = letter.sender.name();
    let sql = format!(
        "with gone as (
          delete from {table} m where m.msg_id = $1 and m.read_ct = $2 returning m.*
        )
        select {schema}.send($3, gone.message,
          case when gone.headers is null or jsonb_typeof(gone.headers) = 'object'
            then coalesce(gone.headers, '{{}}') - '{FIRST_FAILURE}'
            else jsonb_build_object('{OTHER_HEADERS}', gone.headers)
          end || jsonb_build_object('{DEAD_LETTER}', jsonb_build_object(
            'queue', $4::text,
            'msg_id', gone.msg_id,
            'read_count', gone.read_ct,
            'enqueued_at', gone.enqueued_at,
            'reason', $5::text,
            'first_error', coalesce(gone.headers->'{FIRST_FAILURE}'->>'error', $6::text),
            'first_failed_at', coalesce(gone.headers->'{FIRST_FAILURE}'->'at', to_jsonb(clock_timestamp())),
            'last_error', $6::text,
            'dead_at', clock_timestamp())),
          clock_timestamp())
        from gone"
    );
    // The only foreign text is the table's name, quoted as an identifier.
    let sent = sqlx::query(AssertSqlSafe(sql))
        .bind(letter.key.msg_id)
        .bind(letter.key.read_ct())
        .bind(&letter.queue.dead_letters)
        .bind(letter.queue.name.as_str())
        .bind(letter.reason.as_str())
        .bind(letter.error)
        .fetch_all(connection)
        .await?;
    Ok(!sent.is_empty())
}
