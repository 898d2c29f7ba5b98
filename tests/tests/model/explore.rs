//! Running the checker.

use std::fmt;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::design::{Design, Flaw};
use crate::properties::{Claim, Example};
use crate::protocol::Protocol;
use crate::scope::Scope;
use crate::trace::Trace;

/// Fewer states than this would mean that the model has stopped moving.
const FEW: usize = 1_000;

impl Protocol {
    /// Visits every reachable state.
    ///
    /// # Panics
    ///
    /// Panics with a counterexample if one of the claims is not true in one of them.
    #[track_caller]
    pub(crate) fn assert_holds(self) {
        let begun = Instant::now();
        let checker = self
            .checker()
            .finish_when(HasDiscoveries::Any)
            .spawn_bfs()
            .join();
        if let Some((name, path)) = checker.discoveries().into_iter().next() {
            panic!("{self}: not true that {name}\n{}", Trace::new(self, path));
        }
        let (states, depth) = (checker.unique_state_count(), checker.max_depth());
        println!(
            "{self}: {states} states, {depth} deep, {:.1?}",
            begun.elapsed()
        );
        assert!(
            states > FEW,
            "{self}: only {states} states, which proves nothing"
        );
    }

    /// The shortest way to a state in which the claim is not true (or which is the example), printed.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    #[track_caller]
    pub(crate) fn assert_found(self) -> Trace {
        // With one claim and one thread the walk ends at what is found first, breadth first: a shortest way.
        let checker = self.checker().spawn_bfs().join();
        let Some((name, path)) = checker.discoveries().into_iter().next() else {
            panic!(
                "{self}: {:?} was not found in {} states",
                self.claim,
                checker.unique_state_count()
            );
        };
        let trace = Trace::new(self, path);
        println!("{self}: \"{name}\", {} steps\n{trace}", trace.steps());
        trace
    }
}

impl Design {
    pub(crate) fn within(self, scope: Scope) -> Protocol {
        Protocol {
            design: self,
            scope,
            claim: Claim::All,
        }
    }
}

impl Flaw {
    pub(crate) fn within(self, scope: Scope) -> Protocol {
        Design::default().with(self).within(scope)
    }
}

impl Protocol {
    #[track_caller]
    pub(crate) fn assert_violates(self, claim: Claim) {
        Self { claim, ..self }.assert_found();
    }

    #[track_caller]
    pub(crate) fn assert_reaches(self, example: Example) {
        Self {
            claim: Claim::Reachable(example),
            ..self
        }
        .assert_found();
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Design {
            names,
            lost_session,
            flaw,
        } = self.design;
        write!(
            f,
            "names {names:?}, lost session: {lost_session:?}, {}",
            self.scope
        )?;
        flaw.map_or(Ok(()), |flaw| write!(f, ", {flaw:?}"))
    }
}
