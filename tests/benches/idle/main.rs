//! What consumers cost while there is nothing to do, and what many of them cost when there is something for one.

#![expect(
    clippy::cast_precision_loss,
    reason = "counts of a benchmark are far below 2^52"
)]

mod herd;
mod nothing;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient, Source};
use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Environment, Failure, Options};

fn main() -> ExitCode {
    let about = "What idle consumers cost.";
    support::main_of("idle", about, |options| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(run(options))
    })
}

async fn run(options: Options) -> Result<String, Failure> {
    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    nothing::run(&environment, &options, &mut report).await?;
    herd::run(&environment, &options, &mut report).await?;
    Ok(report)
}

/// As in a process of its own: with its own connection that listens, and its own that claim.
async fn consumer<H>(
    options: PgConnectOptions,
    queues: Source,
    safety_poll: Option<std::time::Duration>,
    handler: H,
) -> Result<Consumer, Failure>
where
    H: Fn(Message<u32>) + Send + Sync + 'static,
{
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let client = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new())?;
    let handler = move |message: Message<u32>, _: Claim| {
        handler(message);
        async { Ok::<(), HandlerError>(()) }
    };
    let mut builder = Consumer::builder(client).source(queues, handler);
    if let Some(every) = safety_poll {
        builder = builder.safety_poll(every);
    }
    Ok(builder.start().await?)
}
