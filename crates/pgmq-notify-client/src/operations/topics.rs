use std::time::SystemTime;

use pgmq_notify_core::QueueName;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::queues::stored_name;
use super::send::{BatchOptions, SendOptions, bodies};
use super::{by_sender, needed_by_sender};
use crate::call::Call;
use crate::client::queue_name;
use crate::failure::Failure;
use crate::function;
use crate::json::JsonText;
use crate::routing::{routing_key, topic_pattern};
use crate::row::time;
use crate::{ErrorKind, Operation, PgmqNotifyClient};

/// A pattern that brings messages to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicBinding {
    /// The pattern.
    pub pattern: String,
    /// The queue that it brings messages to.
    pub queue_name: QueueName,
    /// When it was bound.
    pub bound_at: SystemTime,
    /// The regular expression that PGMQ made of the pattern.
    pub compiled_regex: String,
}

/// A binding that a routing key matches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicMatch {
    /// The pattern.
    pub pattern: String,
    /// The queue that it brings messages to.
    pub queue_name: QueueName,
    /// The regular expression that PGMQ made of the pattern.
    pub compiled_regex: String,
}

/// A message that reached a queue by its routing key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicMessage {
    /// The queue.
    pub queue_name: QueueName,
    /// The id of the message there.
    pub msg_id: i64,
}

/// Topics need PGMQ 1.11. Routing keys are letters, digits, `-` and `_` in segments between dots, 255
/// characters at most; in a pattern `*` stands for one segment and `#` for any number of them.
impl PgmqNotifyClient {
    /// Brings messages whose routing key matches `pattern` to `queue`. Bound twice is bound once.
    pub fn bind_topic(
        &self,
        pattern: impl AsRef<str>,
        queue: impl AsRef<str>,
    ) -> Operation<'_, ()> {
        let queue = queue_name(queue);
        // The pattern is checked here, so only the queue can be wrong there.
        let call = Call::new("bind topic", &[function::BIND_TOPIC])
            .on(&queue)
            .raising(ErrorKind::QueueNotFound);
        let arguments = queue.and_then(|queue| Ok((topic_pattern(pattern.as_ref())?, queue)));
        Operation::new(self, call, arguments, |connection, (pattern, queue), ()| {
            Box::pin(async move {
                sqlx::query("select pgmq.bind_topic($1, $2)")
                    .bind(pattern)
                    .bind(queue.as_str())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
    }

    /// Undoes [`bind_topic`](Self::bind_topic); `false` when it was not bound.
    pub fn unbind_topic(
        &self,
        pattern: impl AsRef<str>,
        queue: impl AsRef<str>,
    ) -> Operation<'_, bool> {
        let queue = queue_name(queue);
        let call = Call::new("unbind topic", &[function::UNBIND_TOPIC])
            .on(&queue)
            .raising(ErrorKind::InvalidArgument);
        let arguments = queue.and_then(|queue| Ok((topic_pattern(pattern.as_ref())?, queue)));
        Operation::new(self, call, arguments, |connection, (pattern, queue), ()| {
            Box::pin(async move {
                let unbound = sqlx::query_scalar("select pgmq.unbind_topic($1, $2)")
                    .bind(pattern)
                    .bind(queue.as_str())
                    .fetch_one(connection)
                    .await?;
                Ok(unbound)
            })
        })
    }

    /// All bindings, the newest first.
    pub fn list_topic_bindings(&self) -> Operation<'_, Vec<TopicBinding>> {
        let call = Call::new("list topic bindings", &[function::LIST_TOPIC_BINDINGS]);
        Operation::new(self, call, Ok(()), |connection, (), ()| {
            Box::pin(async move {
                sqlx::query("select pattern, queue_name, bound_at, compiled_regex from pgmq.list_topic_bindings()")
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(binding)
                    .collect()
            })
        })
    }

    /// The bindings of one queue, the newest first.
    pub fn list_queue_topic_bindings(
        &self,
        queue: impl AsRef<str>,
    ) -> Operation<'_, Vec<TopicBinding>> {
        let queue = queue_name(queue);
        let call = Call::new("list topic bindings", &[function::LIST_TOPIC_BINDINGS_OF]);
        Operation::new(self, call.on(&queue), queue, |connection, queue, ()| {
            Box::pin(async move {
                sqlx::query("select pattern, queue_name, bound_at, compiled_regex from pgmq.list_topic_bindings($1)")
                    .bind(queue.as_str())
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(binding)
                    .collect()
            })
        })
    }

    /// Sends a message to every queue with a matching binding, once each, in one transaction; gives
    /// the number of queues. None is no error.
    pub fn send_topic<M: Serialize + ?Sized>(
        &self,
        key: impl AsRef<str>,
        message: &M,
    ) -> Operation<'_, u32, SendOptions> {
        let call = Call::new(
            "send to topic",
            needed_by_sender!(self, SEND_TOPIC, NOTIFY_SEND_TOPIC),
        )
        .sending();
        let arguments = routing_key(key.as_ref())
            .and_then(|key| Ok((key, JsonText::new("a message", message)?)));
        // PGMQ takes whole seconds here, and refuses negative ones.
        let sql = by_sender!(
            self.sender(),
            "select",
            "send_topic($1, $2, $3, greatest(0, ceil(coalesce(extract(epoch from $4 - clock_timestamp())::double precision, $5)))::integer)"
        );
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (key, body), options: SendOptions| {
                Box::pin(async move {
                    let queues: i32 = sqlx::query_scalar(sql)
                        .bind(key)
                        .bind(body)
                        .bind(options.headers)
                        .bind(options.delay.at)
                        .bind(options.delay.seconds)
                        .fetch_one(connection)
                        .await?;
                    crate::row::count(queues)
                })
            },
        )
    }

    /// Sends messages to every queue with a matching binding, once each, in one transaction; gives
    /// the queues and ids. No messages: no SQL.
    pub fn send_batch_topic<M: Serialize>(
        &self,
        key: impl AsRef<str>,
        messages: impl IntoIterator<Item = M>,
    ) -> Operation<'_, Vec<TopicMessage>, BatchOptions> {
        let call = Call::new(
            "send batch to topic",
            needed_by_sender!(self, SEND_BATCH_TOPIC, NOTIFY_SEND_BATCH_TOPIC),
        )
        .sending();
        let bodies = bodies(messages);
        let empty = matches!(&bodies, Ok(bodies) if bodies.is_empty());
        let arguments = routing_key(key.as_ref()).and_then(|key| Ok((key, bodies?)));
        let sql = by_sender!(
            self.sender(),
            "select queue_name, msg_id from",
            "send_batch_topic($1, $2, $3, coalesce($4, clock_timestamp() + make_interval(secs => $5)))"
        );
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (key, bodies), options: BatchOptions| {
                Box::pin(async move {
                    let delay = options.delay;
                    let headers = options.headers(bodies.len())?;
                    sqlx::query(sql)
                        .bind(key)
                        .bind(bodies)
                        .bind(headers)
                        .bind(delay.at)
                        .bind(delay.seconds)
                        .fetch_all(connection)
                        .await?
                        .iter()
                        .map(sent)
                        .collect()
                })
            },
        )
        .known(empty.then(Vec::new))
    }

    /// The bindings that a routing key matches, without sending anything. A queue with several of
    /// them gets a message once.
    pub fn test_routing(&self, key: impl AsRef<str>) -> Operation<'_, Vec<TopicMatch>> {
        let call = Call::new("test routing", &[function::TEST_ROUTING]);
        Operation::new(
            self,
            call,
            routing_key(key.as_ref()),
            |connection, key, ()| {
                Box::pin(async move {
                    sqlx::query(
                        "select pattern, queue_name, compiled_regex from pgmq.test_routing($1)",
                    )
                    .bind(key)
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(matched)
                    .collect()
                })
            },
        )
    }

    /// Asks PGMQ whether it accepts a routing key; the cause of the error says why not.
    pub fn validate_routing_key(&self, key: impl AsRef<str>) -> Operation<'_, ()> {
        let call = Call::new("validate routing key", &[function::VALIDATE_ROUTING_KEY])
            .raising(ErrorKind::InvalidArgument);
        let key = key.as_ref().to_owned();
        Operation::new(self, call, Ok(key), |connection, key, ()| {
            Box::pin(async move {
                sqlx::query("select pgmq.validate_routing_key($1)")
                    .bind(key)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
    }

    /// Asks PGMQ whether it accepts a pattern; the cause of the error says why not.
    pub fn validate_topic_pattern(&self, pattern: impl AsRef<str>) -> Operation<'_, ()> {
        let call = Call::new(
            "validate topic pattern",
            &[function::VALIDATE_TOPIC_PATTERN],
        )
        .raising(ErrorKind::InvalidArgument);
        let pattern = pattern.as_ref().to_owned();
        Operation::new(self, call, Ok(pattern), |connection, pattern, ()| {
            Box::pin(async move {
                sqlx::query("select pgmq.validate_topic_pattern($1)")
                    .bind(pattern)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
    }
}

fn binding(row: &PgRow) -> Result<TopicBinding, Failure> {
    Ok(TopicBinding {
        pattern: row.try_get(0)?,
        queue_name: stored_name(row.try_get(1)?)?,
        bound_at: time(row.try_get(2)?)?,
        compiled_regex: row.try_get(3)?,
    })
}

fn matched(row: &PgRow) -> Result<TopicMatch, Failure> {
    Ok(TopicMatch {
        pattern: row.try_get(0)?,
        queue_name: stored_name(row.try_get(1)?)?,
        compiled_regex: row.try_get(2)?,
    })
}

fn sent(row: &PgRow) -> Result<TopicMessage, Failure> {
    Ok(TopicMessage {
        queue_name: stored_name(row.try_get(0)?)?,
        msg_id: row.try_get(1)?,
    })
}
