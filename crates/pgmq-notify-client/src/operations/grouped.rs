use std::time::Duration;

use serde::de::DeserializeOwned;

use super::read::{quantity, visibility};
use crate::call::Call;
use crate::client::queue_name;
use crate::function::{self, Function};
use crate::row::{by_id, in_order, select_messages};
use crate::{Operation, PgmqNotifyClient, Polling, Received};

/// The options of the grouped reads.
#[derive(Clone, Debug, Default)]
pub struct GroupedOptions {
    polling: Option<(i32, i32)>,
}

/// One of PGMQ's ways to read groups.
#[derive(Clone, Copy)]
struct Way {
    operation: &'static str,
    needs: &'static [Function],
    once: &'static str,
    polling: &'static str,
    order: Order,
}

/// In what order the messages come.
#[derive(Clone, Copy)]
enum Order {
    Ids,
    Turns,
}

/// The header `x-pgmq-group` names the group of a message; those without it are one group. A message
/// is not delivered before the earlier messages of its group are gone.
impl PgmqNotifyClient {
    /// Claims up to `quantity` messages, for `vt`, as many of one group as there are before those of
    /// the next; in the order of their ids. PGMQ 1.9.
    ///
    /// PGMQ counts whole seconds, so fractions of `vt` are rounded up.
    pub fn read_grouped<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
        quantity: u32,
    ) -> Operation<'_, Vec<Received<T>>, GroupedOptions> {
        self.grouped(
            queue,
            vt,
            quantity,
            Way {
                operation: "read grouped",
                needs: &[function::READ_GROUPED, function::READ_GROUPED_WITH_POLL],
                once: select_messages!("pgmq.read_grouped($1, $2, $3)"),
                polling: select_messages!("pgmq.read_grouped_with_poll($1, $2, $3, $4, $5)"),
                order: Order::Ids,
            },
        )
    }

    /// Claims up to `quantity` messages, for `vt`, taking turns: one of each group, then the next of
    /// each; in that order. PGMQ 1.9.
    ///
    /// PGMQ counts whole seconds, so fractions of `vt` are rounded up.
    pub fn read_grouped_rr<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
        quantity: u32,
    ) -> Operation<'_, Vec<Received<T>>, GroupedOptions> {
        self.grouped(
            queue,
            vt,
            quantity,
            Way {
                operation: "read grouped round robin",
                needs: &[
                    function::READ_GROUPED_RR,
                    function::READ_GROUPED_RR_WITH_POLL,
                ],
                once: select_messages!("pgmq.read_grouped_rr($1, $2, $3)"),
                polling: select_messages!("pgmq.read_grouped_rr_with_poll($1, $2, $3, $4, $5)"),
                order: Order::Turns,
            },
        )
    }

    /// Claims the first message of up to `quantity` groups, for `vt`; in the order of their ids.
    /// PGMQ 1.11.1, with [`with_poll`](Operation::with_poll) 1.12.
    ///
    /// PGMQ counts whole seconds, so fractions of `vt` are rounded up.
    pub fn read_grouped_head<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
        quantity: u32,
    ) -> Operation<'_, Vec<Received<T>>, GroupedOptions> {
        self.grouped(
            queue,
            vt,
            quantity,
            Way {
                operation: "read grouped head",
                needs: &[
                    function::READ_GROUPED_HEAD,
                    function::READ_GROUPED_HEAD_WITH_POLL,
                ],
                once: select_messages!("pgmq.read_grouped_head($1, $2, $3)"),
                polling: select_messages!("pgmq.read_grouped_head_with_poll($1, $2, $3, $4, $5)"),
                order: Order::Ids,
            },
        )
    }

    fn grouped<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
        qty: u32,
        way: Way,
    ) -> Operation<'_, Vec<Received<T>>, GroupedOptions> {
        let queue = queue_name(queue);
        let call = Call::new(way.operation, way.needs).on(&queue);
        let arguments = queue.and_then(|queue| Ok((queue, visibility(vt)?, quantity(qty)?)));
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, vt, quantity), options: GroupedOptions| {
                Box::pin(async move {
                    let sql = options.polling.map_or(way.once, |_| way.polling);
                    let mut query = sqlx::query(sql)
                        .bind(queue.as_str())
                        .bind(vt)
                        .bind(quantity);
                    if let Some((up_to, every)) = options.polling {
                        query = query.bind(up_to).bind(every);
                    }
                    let rows = query.fetch_all(connection).await?;
                    match way.order {
                        Order::Ids => by_id(rows),
                        Order::Turns => in_order(&rows),
                    }
                })
            },
        )
        .known((qty == 0).then(Vec::new))
    }

    /// Creates the index that grouped reads of `queue` want. PGMQ 1.9.
    ///
    /// It keeps senders waiting until it is built.
    pub fn create_fifo_index(&self, queue: impl AsRef<str>) -> Operation<'_, ()> {
        let call = Call::new("create FIFO index", &[function::CREATE_FIFO_INDEX]);
        self.on_queue(call, queue, "select pgmq.create_fifo_index($1)")
    }

    /// Creates that index on every queue, in one transaction. PGMQ 1.9.
    pub fn create_fifo_indexes_all(&self) -> Operation<'_, ()> {
        let call = Call::new("create FIFO indexes", &[function::CREATE_FIFO_INDEXES_ALL]);
        Operation::new(self, call, Ok(()), |connection, (), ()| {
            Box::pin(async move {
                sqlx::query("select pgmq.create_fifo_indexes_all()")
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
    }
}

impl<T> Operation<'_, T, GroupedOptions> {
    /// If no message is visible, the server looks again and again until there is one, or the time
    /// is over; see [`read_with_poll`](PgmqNotifyClient::read_with_poll) for what that costs.
    pub fn with_poll(self, polling: Polling) -> Self {
        self.option(|options| {
            options.polling = polling.parameters()?;
            Ok(())
        })
    }
}
