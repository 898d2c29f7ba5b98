//! What a step is, in words.

use crate::consumer::{ConsumerStep, ParkingStep};
use crate::protocol::Step;
use crate::sender::{Isolation, SenderStep};
use crate::state::{Consumers, Lock, State};

pub(super) fn sentence(before: &State, step: Step) -> String {
    match step {
        Step::Sender(index, step) => format!("sender {} {}", name(index), of_sender(before, step)),
        Step::Consumer(index, step) => {
            let said = of_consumer(before, step);
            format!("consumer {} {said}", index + 1)
        }
        Step::LostSessionEnds => "the server ends the lost session".to_owned(),
        Step::ServerCrash => "the server crashes and comes back: no rows, no sessions".to_owned(),
    }
}

fn of_sender(before: &State, step: SenderStep) -> String {
    let said = match step {
        SenderStep::Begin => "begins above READ COMMITTED and takes its snapshot",
        SenderStep::Insert(Isolation::ReadCommitted) => {
            "takes the write lock and inserts, at READ COMMITTED"
        }
        SenderStep::Insert(Isolation::Above) => {
            "takes the write lock and inserts, above READ COMMITTED"
        }
        SenderStep::InsertBehindSavepoint => "sets a savepoint, takes the write lock and inserts",
        SenderStep::Probe if before.lock == Lock::Free => "probes the lock: nobody attends",
        SenderStep::Probe => "probes the lock: somebody attends, so nobody will be notified",
        SenderStep::LookForRows(wakes) if wakes.is_empty() => {
            "looks for rows: none, so nobody will be notified"
        }
        SenderStep::LookForRows(Consumers::EVERYBODY) => "looks for rows: both will be notified",
        SenderStep::LookForRows(wakes) => {
            let named = wakes.iter().next().unwrap() + 1;
            return format!("looks for rows: consumer {named} will be notified");
        }
        SenderStep::RollbackToSavepoint => "rolls back to its savepoint",
        SenderStep::Commit => "commits: its messages are visible, its locks still held",
        SenderStep::ReleaseLocks => "releases its locks: the commit is complete",
        SenderStep::Rollback => "rolls back",
        SenderStep::Prepare => "prepares its transaction, if it has not notified",
        SenderStep::CommitPrepared => {
            "commits the prepared transaction: its messages are visible, its locks still held"
        }
        SenderStep::RollbackPrepared => "rolls the prepared transaction back",
    };
    said.to_owned()
}

fn of_consumer(before: &State, step: ConsumerStep) -> String {
    let said = match step {
        ConsumerStep::Look | ConsumerStep::LookByItself if before.visible > 0 => {
            "looks, and claims a message"
        }
        ConsumerStep::Look | ConsumerStep::LookByItself => "looks and finds nothing",
        ConsumerStep::Finish => "is done with a message",
        ConsumerStep::WakeNext(Some(next)) => return format!("wakes consumer {}", next + 1),
        ConsumerStep::WakeNext(None) => "wakes nobody else",
        ConsumerStep::Park(step) => return of_parking(before, step),
        ConsumerStep::Ask => "asks, and one of those that it noted has ended",
        ConsumerStep::Attend => "is busy and attends",
        ConsumerStep::Rest => "is not busy any more",
        ConsumerStep::GoAway => "has no free handler for long, and attends no more",
        ConsumerStep::DeleteRow => "deletes its row: it is away",
        ConsumerStep::Leave => "is to end, and gives up row and lock",
        ConsumerStep::NoteBeforeLeaving => "notes who holds a write lock",
        ConsumerStep::Left(Some(next)) => {
            return format!("wakes consumer {}, and is gone", next + 1);
        }
        ConsumerStep::Left(None) => "is gone",
        ConsumerStep::LoseListener => "loses its listening session",
        ConsumerStep::Relisten => "listens again, in a new session",
        ConsumerStep::SessionEnds => "has its parking session ended by the server",
        ConsumerStep::Notice => "notices that its parking session is gone, and makes a new one",
        ConsumerStep::GiveUpSession => "gives its parking session up, and makes a new one",
        ConsumerStep::RowExpires => "is past the time of its row",
        ConsumerStep::Continue => "is continued",
        ConsumerStep::Crash => "dies",
        ConsumerStep::Restart => "is started anew and listens",
    };
    said.to_owned()
}

fn of_parking(before: &State, step: ParkingStep) -> String {
    let held = if before.lock_holders().is_empty() {
        "nobody"
    } else {
        "somebody does"
    };
    let visible = if before.visible == 0 {
        "nothing visible"
    } else {
        "a message is visible"
    };
    match step {
        ParkingStep::CommitRow => "commits its row".to_owned(),
        ParkingStep::Unlock => "gives the lock back, if it has it".to_owned(),
        ParkingStep::Note => format!("notes who holds a write lock: {held}"),
        ParkingStep::Look => format!("looks into the queue: {visible}"),
        ParkingStep::Snapshot => format!("begins a statement; in its snapshot {visible}"),
        ParkingStep::NoteInSnapshot => {
            format!("notes in that statement who holds a write lock: {held}")
        }
    }
}

fn name(sender: usize) -> char {
    if sender == 0 { 'A' } else { 'B' }
}
