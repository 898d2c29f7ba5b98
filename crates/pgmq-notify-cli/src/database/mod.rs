//! What commands need that connect to a database.

mod explain;
mod installed;
mod interrupted;
mod lines;
mod options;
mod progress;
mod queues;
mod refused;

pub(crate) use explain::{client_failure, listener_failure};
pub(crate) use installed::Installation;
pub(crate) use interrupted::{interrupted, nobody_reads};
pub(crate) use lines::Lines;
pub(crate) use options::{DatabaseOptions, Secret};
pub(crate) use progress::Progress;
pub(crate) use queues::{instead_of, known_queues, names_of_queues};
pub(crate) use refused::{reachable, refused};

use crate::failure::Failure;

/// Runs what waits for a server.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(
            format!("cannot start: {error}"),
            "check the limits of this process, open files for example",
        )
    })?;
    runtime.block_on(work)
}
