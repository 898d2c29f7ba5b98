//! What ends a command that would go on for ever.

use std::future::pending;

/// Returns when Ctrl-C or SIGTERM comes. From its first poll on, neither ends the process by itself.
pub(crate) async fn interrupted() {
    tokio::select! {
        () = ctrl_c() => {}
        () = terminated() => {}
    }
}

async fn ctrl_c() {
    // Where signals cannot be watched, they end the process as ever.
    if tokio::signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    pending::<()>().await;
}

/// Returns when nobody can read standard output any more, if that can be known without writing: the pipe was
/// closed. A file and a terminal are always read.
#[cfg(unix)]
pub(crate) async fn nobody_reads() {
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    #[allow(
        deprecated,
        reason = "the one that took its place is unsafe, for file descriptors that may be closed: this one is not"
    )]
    let stdout = AsyncFd::with_interest(std::io::stdout(), Interest::ERROR);
    // A file cannot be watched, and is never closed by anybody else.
    if let Ok(stdout) = stdout
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    pending::<()>().await;
}

#[cfg(not(unix))]
pub(crate) async fn nobody_reads() {
    pending::<()>().await;
}
