use std::fmt;
use std::pin::Pin;

use sqlx::PgConnection;

use crate::call::Call;
use crate::failure::{Failure, explain, wants_diagnosis};
use crate::{ClientError, PgmqNotifyClient, diagnosis};

/// What runs on a connection.
pub(crate) type Running<'e, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'e>>;

type Run<'c, T, O> = Box<dyn for<'e> FnOnce(&'e mut PgConnection, O) -> Running<'e, T> + Send + 'c>;

/// One PGMQ operation that has not run yet, and gives a `T`.
///
/// It does nothing until it is awaited. `operation.await` takes a connection from the client's pool
/// and commits by itself; [`on`](Self::on) runs it on a connection of the caller, inside the
/// caller's transaction if there is one. `O` are its options, set by the methods that stand with
/// their type: [`SendOptions`](crate::SendOptions), [`BatchOptions`](crate::BatchOptions),
/// [`ReadOptions`](crate::ReadOptions), [`GroupedOptions`](crate::GroupedOptions).
///
/// # Cancel safety
///
/// An operation that is dropped before its first poll has done nothing. Dropped later, it may be
/// executed or not, but never in part: it is one statement. So a send that was dropped may have
/// sent, a read that was dropped may have claimed messages, which then stay invisible until their
/// visibility timeout ends, and a pop that was dropped may have deleted what it read. The server
/// finishes a statement that has begun: the connection stays busy until then, for
/// [`read_with_poll`](PgmqNotifyClient::read_with_poll) as long as it polls. Inside a caller's
/// transaction all of it is undone when that transaction is rolled back.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: pgmq_notify_client::PgmqNotifyClient) -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = client.pool().begin().await?;
/// client.send("audit_queue", &"order 7 was paid").on(&mut transaction).await?;
/// client.delete("orders_queue", 7).on(&mut transaction).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an operation does nothing until it is awaited"]
pub struct Operation<'c, T, O = ()> {
    client: &'c PgmqNotifyClient,
    call: Call,
    options: O,
    plan: Plan<'c, T, O>,
}

enum Plan<'c, T, O> {
    /// An argument is wrong: no SQL will run.
    Refused(ClientError),
    /// The answer is known without SQL, such as that of an empty batch.
    Known(T),
    Run(Run<'c, T, O>),
}

impl<'c, T, O: Default> Operation<'c, T, O> {
    /// Will `run` on a connection, with what the arguments were turned into.
    pub(crate) fn new<A, F>(
        client: &'c PgmqNotifyClient,
        call: Call,
        arguments: Result<A, ClientError>,
        run: F,
    ) -> Self
    where
        A: Send + 'c,
        F: for<'e> FnOnce(&'e mut PgConnection, A, O) -> Running<'e, T> + Send + 'c,
    {
        let plan = match arguments {
            Ok(arguments) => Plan::Run(Box::new(move |connection, options| {
                run(connection, arguments, options)
            })),
            Err(error) => Plan::Refused(error),
        };
        Self {
            client,
            call,
            options: O::default(),
            plan,
        }
    }
}

impl<T, O> Operation<'_, T, O> {
    /// Answers without SQL, unless an argument was wrong.
    pub(crate) fn known(mut self, answer: Option<T>) -> Self {
        if let (Plan::Run(_), Some(answer)) = (&self.plan, answer) {
            self.plan = Plan::Known(answer);
        }
        self
    }

    /// Sets an option; the first one that is wrong counts.
    pub(crate) fn option(mut self, set: impl FnOnce(&mut O) -> Result<(), ClientError>) -> Self {
        if let Err(error) = set(&mut self.options)
            && !matches!(self.plan, Plan::Refused(_))
        {
            self.plan = Plan::Refused(error);
        }
        self
    }

    /// Runs it on `connection`, inside the transaction that is open there.
    ///
    /// # Cancel safety
    ///
    /// As for [`Operation`]; a transaction that was interrupted in the middle should be rolled back.
    ///
    /// # Errors
    ///
    /// As when awaited. After an error of the server PostgreSQL refuses every statement but a
    /// rollback of that transaction. Only a function that was not found costs a look at the
    /// catalog, by another connection of the client's pool.
    pub async fn on(self, connection: &mut PgConnection) -> Result<T, ClientError> {
        let run = match self.plan {
            Plan::Refused(error) => return Err(error),
            Plan::Known(answer) => return Ok(answer),
            Plan::Run(run) => run,
        };
        match run(connection, self.options).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Client(error)) => Err(error),
            Err(Failure::Sqlx(error)) if wants_diagnosis(&error) => {
                Err(diagnosis::on_pool(&self.call, error, self.client.pool()).await)
            }
            Err(Failure::Sqlx(error)) => Err(explain(&self.call, error)),
        }
    }

    async fn on_own_connection(self) -> Result<T, ClientError> {
        let run = match self.plan {
            Plan::Refused(error) => return Err(error),
            Plan::Known(answer) => return Ok(answer),
            Plan::Run(run) => run,
        };
        let mut connection = match self.client.pool().acquire().await {
            Ok(connection) => connection,
            Err(error) => return Err(explain(&self.call, error)),
        };
        match run(&mut connection, self.options).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Client(error)) => Err(error),
            Err(Failure::Sqlx(error)) if wants_diagnosis(&error) => {
                Err(diagnosis::on_connection(&self.call, error, &mut connection).await)
            }
            Err(Failure::Sqlx(error)) => Err(explain(&self.call, error)),
        }
    }
}

impl<'c, T: Send + 'c, O: Send + 'c> IntoFuture for Operation<'c, T, O> {
    type Output = Result<T, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.on_own_connection())
    }
}

impl<T, O: fmt::Debug> fmt::Debug for Operation<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("call", &self.call)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
