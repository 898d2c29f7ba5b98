//! A counterexample in sentences, one a step, with what is true after it.

use std::fmt;

use stateright::{Model, Path};

use crate::consumer::{Activity, ConsumerStep, ParkingStep};
use crate::protocol::{Protocol, Step};
use crate::sender::{Isolation, SenderStep};
use crate::state::{Consumers, State};

pub(crate) struct Trace {
    path: Vec<(State, Option<Step>)>,
    protocol: Protocol,
}

impl Trace {
    pub(crate) fn new(protocol: Protocol, path: Path<State, Step>) -> Self {
        Self {
            path: path.into_vec(),
            protocol,
        }
    }

    pub(crate) fn steps(&self) -> usize {
        self.path.iter().filter(|(_, step)| step.is_some()).count()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (before, step)) in self.path.iter().enumerate() {
            if let Some(step) = *step {
                let after = self.protocol.next_state(before, step).unwrap();
                writeln!(
                    f,
                    "{:>3}. {}{}",
                    number + 1,
                    sentence(before, step),
                    outcome(before, &after)
                )?;
            }
        }
        Ok(())
    }
}

fn sentence(before: &State, step: Step) -> String {
    match step {
        Step::Sender(index, step) => format!("sender {} {}", name(index), of_sender(step)),
        Step::Consumer(index, step) => format!(
            "consumer {} {}",
            index + 1,
            of_consumer(before, index, step)
        ),
        Step::ServerCrash => "the server crashes and comes back: no leases, no sessions".to_owned(),
    }
}

fn of_sender(step: SenderStep) -> String {
    let said = match step {
        SenderStep::Begin(Isolation::ReadCommitted) => "begins at READ COMMITTED",
        SenderStep::Begin(Isolation::Above) => "begins above READ COMMITTED and takes its snapshot",
        SenderStep::Insert => "takes the write lock and inserts",
        SenderStep::Look(wakes) if wakes.is_empty() => {
            "looks for a lease: none, so nobody will be notified"
        }
        SenderStep::Look(Consumers::EVERYBODY) => "looks for a lease: everybody will be notified",
        SenderStep::Look(wakes) => {
            return format!(
                "looks for a lease: consumer {} will be notified",
                wakes.iter().next().unwrap() + 1
            );
        }
        SenderStep::InsertBehindSavepoint => "sets a savepoint, takes the write lock and inserts",
        SenderStep::RollbackToSavepoint => "rolls back to its savepoint",
        SenderStep::Commit => "commits: its rows are visible, its locks still held",
        SenderStep::ReleaseLocks => "releases its locks: the commit is complete",
        SenderStep::Rollback => "rolls back",
        SenderStep::Prepare => "prepares its transaction, if it has not notified",
        SenderStep::CommitPrepared => {
            "commits the prepared transaction: its rows are visible, its locks still held"
        }
        SenderStep::RollbackPrepared => "rolls the prepared transaction back",
    };
    said.to_owned()
}

fn of_consumer(before: &State, index: usize, step: ConsumerStep) -> String {
    let holders = before.lock_holders();
    let held = if holders.is_empty() {
        "nobody"
    } else {
        "somebody does"
    };
    let visible = if before.visible == 0 {
        "nothing visible"
    } else {
        "a message is visible"
    };
    let consumer = before.consumers[index];
    let said = match step {
        ConsumerStep::Claim | ConsumerStep::ClaimUntold if before.visible == 0 => {
            "claims and finds nothing"
        }
        ConsumerStep::Claim | ConsumerStep::ClaimUntold => "claims a message",
        ConsumerStep::PassOn(None) => "wakes nobody else",
        ConsumerStep::PassOn(Some(next)) => return format!("wakes consumer {}", next + 1),
        ConsumerStep::Finish => "is done with a message",
        ConsumerStep::Park(ParkingStep::CommitLease) => "commits its lease: it is parked",
        ConsumerStep::Park(ParkingStep::Fence) => {
            return format!("asks who holds a write lock: {held}");
        }
        ConsumerStep::Park(ParkingStep::NoteHolders) => {
            return format!("notes who holds a write lock: {held}");
        }
        ConsumerStep::Park(ParkingStep::CheckHolders) if consumer.awaits.is_empty() => {
            "sees that those have ended"
        }
        ConsumerStep::Park(ParkingStep::CheckHolders) => "sees that one of those has not ended",
        ConsumerStep::Park(ParkingStep::Look) => return format!("looks into the queue: {visible}"),
        ConsumerStep::Park(ParkingStep::Snapshot) => {
            return format!("begins a statement; in its snapshot {visible}");
        }
        ConsumerStep::Park(ParkingStep::LocksAndSnapshot) => {
            return format!("asks in that statement who holds a write lock: {held}");
        }
        ConsumerStep::Wake => "wakes up",
        ConsumerStep::Poll => "wakes for its safety poll",
        ConsumerStep::Relisten => "listens again, in a new session",
        ConsumerStep::LoseConnection => "loses its listening session",
        ConsumerStep::Continue => "is continued",
        ConsumerStep::Crash => "dies",
        ConsumerStep::Restart => "is started anew and listens",
        ConsumerStep::LeaseExpires => "is past the time of its lease",
    };
    said.to_owned()
}

/// The part of the state that a reader would otherwise have to keep in mind.
fn outcome(before: &State, after: &State) -> String {
    let mut changes = Vec::new();
    if before.visible != after.visible {
        changes.push(format!("{} visible", after.visible));
    }
    if before.leases != after.leases {
        let parked: Vec<_> = after
            .leases
            .iter()
            .map(|consumer| (consumer + 1).to_string())
            .collect();
        changes.push(if parked.is_empty() {
            "no leases".to_owned()
        } else {
            format!("leases of {}", parked.join(", "))
        });
    }
    for (before, after) in before.consumers.iter().zip(&after.consumers) {
        let was_parking = matches!(before.activity, Activity::Parking(_));
        let change = match after.activity {
            _ if after.stopped && !before.stopped => "it is stopped",
            Activity::Claiming if was_parking => "claims again",
            Activity::Asleep if was_parking => "sleeps",
            _ => continue,
        };
        changes.push(change.to_owned());
    }
    changes
        .iter()
        .map(|change| format!(" [{change}]"))
        .collect::<Vec<_>>()
        .concat()
}

fn name(sender: usize) -> char {
    if sender == 0 { 'A' } else { 'B' }
}
