use tokio::runtime::Builder;

use crate::session::Session;

/// Drops a session and closes its socket there and then.
///
/// A dropped `PgListener` spawns a task that asks the server to `UNLISTEN`, without any bound: on a
/// dead connection it waits until TCP gives up, which takes a quarter of an hour, and with every
/// session that is lost so there would be one more. The task goes to the runtime that is entered
/// here, which ends before it runs.
pub(crate) fn abandon(session: Session) {
    match Builder::new_current_thread().build() {
        Ok(runtime) => {
            let entered = runtime.enter();
            drop(session);
            drop(entered);
            runtime.shutdown_background();
        }
        // It has no driver, so there is nothing that could fail; the task would merely linger.
        Err(_) => drop(session),
    }
}

/// A session that is [abandoned](abandon) unless it turns out well.
pub(crate) struct Opening(Option<Session>);

impl Opening {
    pub(crate) fn new(session: Session) -> Self {
        Self(Some(session))
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        self.0.as_mut().expect("it is there until it is finished")
    }

    pub(crate) fn finish(mut self) -> Session {
        self.0.take().expect("it is there until it is finished")
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            abandon(session);
        }
    }
}
