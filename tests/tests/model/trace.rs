//! A counterexample in sentences, one a step, with what is true after it.

mod sentences;

use std::fmt;

use stateright::{Model, Path};

use crate::consumer::{Consumer, Life, Row};
use crate::protocol::{Protocol, Step};
use crate::state::{Lock, State};
use sentences::sentence;

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
                let (sentence, outcome) = (sentence(before, step), outcome(before, &after));
                writeln!(f, "{:>3}. {sentence}{outcome}", number + 1)?;
            }
        }
        Ok(())
    }
}

/// The part of the state that a reader would otherwise have to keep in mind.
fn outcome(before: &State, after: &State) -> String {
    let mut changes = Vec::new();
    if before.visible != after.visible {
        changes.push(format!("{} visible", after.visible));
    }
    if before.rows != after.rows {
        let rows: Vec<_> = after.rows.iter().map(|it| (it + 1).to_string()).collect();
        changes.push(if rows.is_empty() {
            "no rows".to_owned()
        } else {
            format!("rows of {}", rows.join(", "))
        });
    }
    if before.lock != after.lock {
        changes.push(match after.lock {
            Lock::Free => "nobody holds the lock".to_owned(),
            Lock::Of(consumer) => format!("{} holds the lock", consumer + 1),
            Lock::OfLostSession => "a lost session holds the lock".to_owned(),
        });
    }
    for (index, (was, is)) in before.consumers.iter().zip(&after.consumers).enumerate() {
        let slept = before.sleeps_undisturbed(index);
        let change = if is.life == Life::Stopped && was.life != Life::Stopped {
            "it is stopped"
        } else if after.sleeps_undisturbed(index) && !slept {
            "it sleeps"
        } else if becomes_fenced(*was, *is) {
            "it is to ask for somebody"
        } else if slept && !after.sleeps_undisturbed(index) {
            "it does not sleep any more"
        } else {
            continue;
        };
        changes.push(change.replacen("it", &format!("{}", index + 1), 1));
    }
    let changes = changes.iter().map(|change| format!(" [{change}]"));
    changes.collect::<Vec<_>>().concat()
}

fn becomes_fenced(was: Consumer, is: Consumer) -> bool {
    was.awaits.is_empty() && !is.awaits.is_empty() && matches!(is.row, Row::Parking(_))
}
