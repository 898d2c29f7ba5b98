//! The operations of PGMQ, by what they are about.

mod claim;
mod dead_letters;
mod grouped;
mod metrics;
mod notify_insert;
mod queues;
mod read;
mod send;
mod settle;
mod topics;
mod visibility;

use crate::call::Call;
use crate::client::queue_name;
use crate::{Operation, PgmqNotifyClient};

pub use dead_letters::Redriven;
pub use grouped::GroupedOptions;
pub use metrics::QueueMetrics;
pub use notify_insert::NotifyInsertThrottle;
pub use queues::Queue;
pub use read::ReadOptions;
pub use send::{BatchOptions, SendOptions};
pub use topics::{TopicBinding, TopicMatch, TopicMessage};
pub use visibility::MessageVisibility;

/// The statement that sends or creates, in the schema that the client uses for it.
macro_rules! by_sender {
    ($schema:expr, $before:literal, $after:literal) => {
        match $schema {
            $crate::function::Schema::Pgmq => concat!($before, " pgmq.", $after),
            $crate::function::Schema::PgmqNotify => concat!($before, " pgmq_notify.", $after),
        }
    };
}
use by_sender;

/// The functions that are needed, in the schema that the client uses for sending and creating.
macro_rules! needed_by_sender {
    ($client:expr, $pgmq:ident, $notify:ident) => {
        match $client.sender() {
            $crate::function::Schema::Pgmq => {
                &[$crate::function::$pgmq] as &'static [$crate::function::Function]
            }
            $crate::function::Schema::PgmqNotify => {
                &[$crate::function::$notify, $crate::function::$pgmq]
            }
        }
    };
}
use needed_by_sender;

impl PgmqNotifyClient {
    /// A statement whose only parameter is the queue, and whose result nobody needs.
    fn on_queue(&self, call: Call, queue: impl AsRef<str>, sql: &'static str) -> Operation<'_, ()> {
        let queue = queue_name(queue);
        Operation::new(
            self,
            call.on(&queue),
            queue,
            move |connection, queue, ()| {
                Box::pin(async move {
                    sqlx::query(sql)
                        .bind(queue.as_str())
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            },
        )
    }
}
