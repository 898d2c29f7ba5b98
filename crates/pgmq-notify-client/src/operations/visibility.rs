use std::time::SystemTime;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::needed_by_sender;
use super::read::visibility;
use crate::call::Call;
use crate::client::queue_name;
use crate::failure::Failure;
use crate::function::{Function, Schema};
use crate::row::{count, time};
use crate::timestamp::Timestamp;
use crate::{ClientError, Operation, PgmqNotifyClient, When};

/// When a message becomes visible, after that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageVisibility {
    /// The message.
    pub msg_id: i64,
    /// How often it was read; setting its visibility does not count.
    pub read_count: u32,
    /// When it becomes visible.
    pub visible_at: SystemTime,
}

/// A parameter of `pgmq.set_vt`, in either of its types.
#[derive(Clone, Copy, Debug)]
enum Vt {
    Seconds(i32),
    At(Timestamp),
}

/// Each overload has a text of its own, with its types: a connection keeps the statement that was
/// prepared for a text first, whatever types it was prepared with.
macro_rules! set_vt {
    ($schema:expr, $ids:literal, $vt:literal) => {
        match $schema {
            Schema::Pgmq => set_vt!(@in "pgmq", $ids, $vt),
            Schema::PgmqNotify => set_vt!(@in "pgmq_notify", $ids, $vt),
        }
    };
    (@in $schema:literal, $ids:literal, $vt:literal) => {
        concat!(
            "select msg_id, read_ct, vt from ",
            $schema,
            ".set_vt($1, $2::",
            $ids,
            ", $3::",
            $vt,
            ") order by msg_id"
        )
    };
}

impl PgmqNotifyClient {
    /// Sets when a message becomes visible, claimed or not: after a
    /// [`Duration`](std::time::Duration), or at a [`SystemTime`] (PGMQ 1.10). `None` when there is no
    /// such message.
    ///
    /// PGMQ counts whole seconds, so fractions of a duration are rounded up; zero gives the message
    /// back at once. A message that becomes visible earlier than it was going to be is published as
    /// `message_ready`.
    pub fn set_vt(
        &self,
        queue: impl AsRef<str>,
        msg_id: i64,
        vt: impl Into<When>,
    ) -> Operation<'_, Option<MessageVisibility>> {
        let vt = vt.into();
        let queue = queue_name(queue);
        let schema = self.sender();
        let needs: &[Function] = match vt {
            When::After(_) => needed_by_sender!(self, SET_VT, NOTIFY_SET_VT),
            When::At(_) => needed_by_sender!(self, SET_VT_AT, NOTIFY_SET_VT_AT),
        };
        let call = Call::new("set visibility", needs).on(&queue);
        let arguments = queue.and_then(|queue| Ok((queue, Vt::new(vt)?)));
        Operation::new(self, call, arguments, move |connection, (queue, vt), ()| {
            Box::pin(async move {
                let query = |sql| sqlx::query(sql).bind(queue.as_str()).bind(msg_id);
                let row = match vt {
                    Vt::Seconds(seconds) => {
                        query(set_vt!(schema, "bigint", "integer")).bind(seconds)
                    }
                    Vt::At(time) => {
                        query(set_vt!(schema, "bigint", "timestamp with time zone")).bind(time)
                    }
                }
                .fetch_optional(connection)
                .await?;
                row.as_ref().map(visibility_of).transpose()
            })
        })
    }

    /// As [`set_vt`](Self::set_vt) for several messages: those that there are, by their ids. PGMQ 1.8,
    /// with a [`SystemTime`] 1.10. No ids: no SQL.
    pub fn set_vt_batch(
        &self,
        queue: impl AsRef<str>,
        msg_ids: &[i64],
        vt: impl Into<When>,
    ) -> Operation<'_, Vec<MessageVisibility>> {
        let vt = vt.into();
        let queue = queue_name(queue);
        let schema = self.sender();
        let needs: &[Function] = match vt {
            When::After(_) => needed_by_sender!(self, SET_VT_BATCH, NOTIFY_SET_VT_BATCH),
            When::At(_) => needed_by_sender!(self, SET_VT_BATCH_AT, NOTIFY_SET_VT_BATCH_AT),
        };
        let call = Call::new("set visibility of batch", needs).on(&queue);
        let empty = msg_ids.is_empty();
        let msg_ids = msg_ids.to_vec();
        let arguments = queue.and_then(|queue| Ok((queue, msg_ids, Vt::new(vt)?)));
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, msg_ids, vt), ()| {
                Box::pin(async move {
                    let query = |sql| sqlx::query(sql).bind(queue.as_str()).bind(msg_ids);
                    let rows = match vt {
                        Vt::Seconds(seconds) => {
                            query(set_vt!(schema, "bigint[]", "integer")).bind(seconds)
                        }
                        Vt::At(time) => {
                            query(set_vt!(schema, "bigint[]", "timestamp with time zone"))
                                .bind(time)
                        }
                    }
                    .fetch_all(connection)
                    .await?;
                    rows.iter().map(visibility_of).collect()
                })
            },
        )
        .known(empty.then(Vec::new))
    }
}

impl Vt {
    fn new(when: When) -> Result<Self, ClientError> {
        Ok(match when {
            When::After(duration) => Self::Seconds(visibility(duration)?),
            When::At(time) => Self::At(Timestamp::new(time)?),
        })
    }
}

fn visibility_of(row: &PgRow) -> Result<MessageVisibility, Failure> {
    Ok(MessageVisibility {
        msg_id: row.try_get(0)?,
        read_count: count::<i32, _>(row.try_get(1)?)?,
        visible_at: time(row.try_get(2)?)?,
    })
}
