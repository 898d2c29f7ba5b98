//! What handlers did, for counting and explaining what was done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pgmq_notify_client::Claim;

/// One run of a handler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handling {
    /// Which worker of a test.
    pub(super) worker: usize,
    pub(super) msg_id: i64,
    pub(super) begun: SystemTime,
    pub(super) ended: Option<SystemTime>,
}

/// All runs, in the order of their beginnings in each worker. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Record(Arc<Mutex<Vec<Handling>>>);

/// Which run of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run(usize);

impl Record {
    fn handlings(&self) -> MutexGuard<'_, Vec<Handling>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler of this process has begun.
    pub(super) fn begin(&self, claim: &Claim) -> Run {
        self.begun(Handling {
            worker: 0,
            msg_id: claim.msg_id(),
            begun: SystemTime::now(),
            ended: None,
        })
    }

    pub(super) fn begun(&self, handling: Handling) -> Run {
        let mut handlings = self.handlings();
        handlings.push(handling);
        Run(handlings.len() - 1)
    }

    /// It has done its work, and is about to return.
    pub(super) fn end(&self, run: Run, at: SystemTime) {
        self.handlings()[run.0].ended = Some(at);
    }

    pub(super) fn len(&self) -> usize {
        self.handlings().len()
    }

    pub(super) fn runs(&self) -> Vec<Handling> {
        self.handlings().clone()
    }

    /// The messages of which a handler came to its end.
    pub(super) fn done(&self) -> BTreeSet<i64> {
        let handlings = self.handlings();
        let ended = handlings.iter().filter(|it| it.ended.is_some());
        ended.map(|it| it.msg_id).collect()
    }

    /// Each run after which the same message was begun once more, with that next one.
    pub(super) fn repeated(&self) -> Vec<(Handling, Handling)> {
        let mut by_message: BTreeMap<i64, Vec<Handling>> = BTreeMap::new();
        for handling in self.handlings().iter() {
            by_message
                .entry(handling.msg_id)
                .or_default()
                .push(*handling);
        }
        let mut repeated = Vec::new();
        for mut runs in by_message.into_values() {
            runs.sort_by_key(|it| it.begun);
            repeated.extend(runs.windows(2).map(|pair| (pair[0], pair[1])));
        }
        repeated
    }
}

/// Fails with those of `sent` of which no handler came to its end.
#[track_caller]
pub(super) fn assert_all_done(record: &Record, sent: &[i64]) {
    let done = record.done();
    let lost: Vec<&i64> = sent.iter().filter(|it| !done.contains(it)).collect();
    assert!(
        lost.is_empty(),
        "{} of {} messages were not handled: {lost:?}",
        lost.len(),
        sent.len()
    );
}
