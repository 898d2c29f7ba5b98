use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use pgmq_notify_core::PgmqNotifyEvent;
use pgmq_notify_tests::eventually;
use tokio::sync::watch;

use super::SOON;

/// What handlers did: each begin and end, and how many were at work at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    log: Arc<Mutex<Vec<String>>>,
    now: Arc<AtomicUsize>,
    pub(super) most: Arc<AtomicUsize>,
}

impl Work {
    pub(super) fn begin(&self, event: &PgmqNotifyEvent) -> String {
        let name = match event {
            PgmqNotifyEvent::Resumed(_) => "resumed".to_owned(),
            event => {
                let (namespace, id) = super::super::message(event);
                format!("{namespace}{id}")
            }
        };
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.note(format!("+{name}"));
        name
    }

    pub(super) fn end(&self, name: &str) {
        self.note(format!("-{name}"));
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn note(&self, line: String) {
        self.log
            .lock()
            .expect("nobody panics holding it")
            .push(line);
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().expect("nobody panics holding it").clone()
    }

    pub(super) async fn reach(&self, log: &[&str]) {
        eventually(SOON, || async {
            let now = self.log();
            if now == log { Ok(()) } else { Err(now) }
        })
        .await;
    }

    pub(super) async fn ends(&self, count: usize) {
        eventually(SOON, || async {
            let log = self.log();
            let ends = log.iter().filter(|line| line.starts_with('-')).count();
            if ends == count { Ok(()) } else { Err(log) }
        })
        .await;
    }

    /// A handler that works until the gate opens.
    pub(super) fn until_open(
        &self,
        gate: &watch::Sender<bool>,
    ) -> impl Fn(PgmqNotifyEvent) -> BoxFuture<'static, Result<(), String>> + Send + Sync + use<>
    {
        let (work, gate) = (self.clone(), gate.subscribe());
        move |event| {
            let (work, mut gate) = (work.clone(), gate.clone());
            Box::pin(async move {
                let name = work.begin(&event);
                gate.wait_for(|is_open| *is_open)
                    .await
                    .map_err(|error| error.to_string())?;
                // Time for what must not begin meanwhile.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                work.end(&name);
                Ok(())
            })
        }
    }
}
