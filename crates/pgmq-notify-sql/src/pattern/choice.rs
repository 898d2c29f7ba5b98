//! Do Rust and PostgreSQL choose the same match?
//!
//! Often a pattern can match a name in several ways. Both engines take the leftmost start. From there Rust takes
//! the first way in order of preference (a greedy repetition prefers one more round, an alternation its earlier
//! alternative). PostgreSQL has no such order: it takes the longest match, or the shortest if the pattern is lazy,
//! and among those the longest (shortest) `before`. Everything here shows that the two coincide, or refuses.
//!
//! What follows the namespace is translated as a lookahead. It only decides which ways are possible, so it can be
//! anything. For `before` and the namespace one of these has to hold:
//!
//! 1. There is no choice: of the three parts two have a fixed length (what follows has one only if it also ends the
//!    name). Then both ends of the namespace are determined.
//!
//! 2. There is only one kind of choice. Let the sequence be `before` and the namespace (only `before` if the end of
//!    the namespace is determined as in 1), as parts `1..n` with ends `p1 ≤ … ≤ pn`. If every part is of fixed length
//!    or a greedy repetition of one character, Rust's way is the lexicographically greatest `p`. Suppose that a way
//!    `q` ends later, or just as late with a later end of `before`. At the first difference `q` is behind; so they
//!    cross in some part `j`: `q(j-1) ≤ p(j-1)` and `pj < qj`. Part `j` is no fixed one, so it is a repetition of a
//!    character, and can run from `p(j-1)` to `qj`: its characters match (`q` used them) and its count lies between
//!    those of `p` and `q`. So `p1 … p(j-1) qj … qn` is a way that Rust prefers to `p`: a contradiction. All of this
//!    holds mirrored for lazy repetitions and shortest matches.
//!
//! 3. As 2, with a head of finitely many spellings (optional groups, alternatives) in front. No spelling that is
//!    preferred may be shorter than a later one that is possible on the same text, nor end `before` earlier. So a
//!    longer way `q` is not behind `p` after the head, and the argument of 2 goes on from there.
//!
//! 4. The sequence is deterministic and greedy, see [`super::deterministic`].

use super::class::Class;
use super::deterministic::is_deterministic;
use super::error::{PatternError, quote};
use super::parts::{Parts, flatten};
use super::tree::{Kind, Node, Repeat, is_fixed, length};

/// What the translation has to prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preference {
    Longest,
    Shortest,
}

/// More spellings than this are not looked at: each is compared with each.
const MAX_SPELLINGS: usize = 64;

pub(super) fn preference(pattern: &str, parts: &Parts) -> Result<Preference, PatternError> {
    let start_is_known = is_fixed(length(&parts.before));
    let end_is_known = is_fixed(length(&parts.after)) && ends_the_name(&parts.after);
    let length_is_known = parts.namespace.has_fixed_length();
    if [start_is_known, end_is_known, length_is_known]
        .iter()
        .filter(|&&known| known)
        .count()
        >= 2
    {
        return Ok(Preference::Longest);
    }
    let mut sequence = parts.before.clone();
    if !end_is_known {
        sequence.extend(flatten(parts.namespace.clone()));
    }
    if is_deterministic(&sequence) {
        return Ok(Preference::Longest);
    }
    let sequence = Sequence {
        pattern,
        nodes: &sequence,
        before: parts.before.len(),
    };
    sequence.preference()
}

/// Whether every match of the sequence has passed an anchor at the end of the name.
fn ends_the_name(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match &node.kind {
        Kind::End => true,
        Kind::Concat(nodes) => ends_the_name(nodes),
        Kind::Alternation(nodes) => nodes
            .iter()
            .all(|node| ends_the_name(std::slice::from_ref(node))),
        _ => false,
    })
}

struct Sequence<'a> {
    pattern: &'a str,
    nodes: &'a [Node],
    /// How many of the nodes stand before the namespace.
    before: usize,
}

impl Sequence<'_> {
    /// Tries every head, the shortest first. What is wrong with the shortest is what a user wants to hear.
    fn preference(&self) -> Result<Preference, PatternError> {
        let shortest = self
            .nodes
            .iter()
            .rposition(is_choice)
            .map_or(0, |last| last + 1);
        let mut first_error = None;
        for head in shortest..=self.nodes.len() {
            match self.with_head(head) {
                Ok(preference) => return Ok(preference),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.unwrap_or_else(|| PatternError::whole("the pattern is ambiguous")))
    }

    fn with_head(&self, head: usize) -> Result<Preference, PatternError> {
        let spellings = self.spellings(head)?;
        match self.kind_of_repetitions(head)? {
            Some(preference) => self
                .check_order(&spellings, head, preference)
                .map(|()| preference),
            None => self
                .check_order(&spellings, head, Preference::Longest)
                .map(|()| Preference::Longest)
                .or_else(|error| {
                    self.check_order(&spellings, head, Preference::Shortest)
                        .map(|()| Preference::Shortest)
                        .map_err(|_| error)
                }),
        }
    }

    /// Whether the repetitions after the head are greedy or lazy; `None` if there are none.
    fn kind_of_repetitions(&self, head: usize) -> Result<Option<Preference>, PatternError> {
        let mut kind = None;
        for node in &self.nodes[head..] {
            let Kind::Repeat(_, Repeat { greedy, .. }) = node.kind else {
                continue;
            };
            if node.has_fixed_length() {
                continue;
            }
            let this = if greedy {
                Preference::Longest
            } else {
                Preference::Shortest
            };
            if *kind.get_or_insert(this) != this {
                let reason = "PostgreSQL cannot mix greedy and lazy repetitions up to the end of the group `namespace`; \
                              make them all greedy or all lazy";
                return Err(PatternError::at(self.pattern, &node.span, reason));
            }
        }
        Ok(kind)
    }

    fn spellings(&self, head: usize) -> Result<Vec<Spelling<'_>>, PatternError> {
        let mut all = vec![Spelling::default()];
        for (i, node) in self.nodes[..head].iter().enumerate() {
            if i == self.before {
                all.iter_mut().for_each(Spelling::end_before);
            }
            let of_node = spellings(node).and_then(|of_node| follow(&all, &of_node));
            all = of_node.ok_or_else(|| self.too_many(node, head))?;
        }
        if head <= self.before {
            all.iter_mut().for_each(Spelling::end_before);
        }
        Ok(all)
    }

    fn too_many(&self, node: &Node, head: usize) -> PatternError {
        let choice = &self.nodes[head - 1];
        let choice = if is_choice(choice) { choice } else { node };
        let reason = if choice.span == node.span {
            "this can match in too many ways to be sure that PostgreSQL takes the same; up to the end of the group \
             `namespace`, use characters, character classes and repetitions of them"
                .to_owned()
        } else {
            format!(
                "a choice between different lengths must not follow {}, because PostgreSQL would choose differently; put \
                 it behind the group `namespace`, or in front of every repetition",
                quote(&self.pattern[node.span.clone()])
            )
        };
        PatternError::at(self.pattern, &choice.span, &reason)
    }

    fn check_order(
        &self,
        spellings: &[Spelling<'_>],
        head: usize,
        preference: Preference,
    ) -> Result<(), PatternError> {
        // Nothing follows the head: then spellings of one length alone compete for the end of `before`.
        let is_all = head == self.nodes.len();
        let next = self.next(head);
        for (i, earlier) in spellings.iter().enumerate() {
            for later in spellings[i + 1..]
                .iter()
                .filter(|later| earlier.meets(later, &next))
            {
                let (a, b) = match preference {
                    Preference::Longest => (earlier, later),
                    Preference::Shortest => (later, earlier),
                };
                let (lengths, befores) = (
                    a.classes.len().cmp(&b.classes.len()),
                    a.before.cmp(&b.before),
                );
                if lengths.is_lt() || (befores.is_lt() && !(is_all && lengths.is_gt())) {
                    return Err(self.wrong_order(head, preference));
                }
            }
        }
        Ok(())
    }

    /// The characters that have to follow the head, as far as that is sure.
    fn next(&self, head: usize) -> Vec<&Class> {
        let mut next = Vec::new();
        for node in &self.nodes[head..] {
            match &node.kind {
                Kind::Class(class) => next.push(class),
                Kind::Repeat(inner, repeat) => {
                    if let Kind::Class(class) = &inner.kind {
                        next.extend((0..repeat.min).map(|_| class));
                    }
                    return next;
                }
                _ => return next,
            }
        }
        next
    }

    fn wrong_order(&self, head: usize, preference: Preference) -> PatternError {
        let reason = match preference {
            Preference::Longest => {
                "PostgreSQL would not try these possibilities in this order; put longer ones before shorter ones, and use \
                 greedy repetitions"
            }
            Preference::Shortest => {
                "PostgreSQL would try these possibilities in another order, because lazy repetitions follow; use greedy \
                 ones"
            }
        };
        let choices = || self.nodes[..head].iter();
        match choices()
            .find(|node| !node.has_fixed_length())
            .or_else(|| choices().next_back())
        {
            Some(node) => PatternError::at(self.pattern, &node.span, reason),
            None => PatternError::whole(reason),
        }
    }
}

/// Whether a part can match in several lengths in another way than by repeating one character; or is an anchor,
/// which can only be looked at as a part of the head.
fn is_choice(node: &Node) -> bool {
    match &node.kind {
        Kind::Repeat(inner, _) if matches!(inner.kind, Kind::Class(_)) => false,
        _ => {
            !node.has_fixed_length()
                || node
                    .find(&|kind| matches!(kind, Kind::Start | Kind::End))
                    .is_some()
        }
    }
}

/// One of the ways to spell the head, in order of Rust's preference. An anchor counts as nothing, which makes more
/// spellings meet than really do.
#[derive(Clone, Debug, Default)]
struct Spelling<'a> {
    classes: Vec<&'a Class>,
    /// How much of it stands before the namespace.
    before: usize,
}

impl Spelling<'_> {
    fn end_before(&mut self) {
        self.before = self.classes.len();
    }

    /// Whether some text begins with both, each followed by `next`.
    fn meets(&self, other: &Self, next: &[&Class]) -> bool {
        let here = self.classes.iter().chain(next);
        let there = other.classes.iter().chain(next);
        here.zip(there).all(|(a, b)| a.intersects(b))
    }
}

/// The spellings of a part, most preferred first; `None` if there are too many.
fn spellings(node: &Node) -> Option<Vec<Spelling<'_>>> {
    match &node.kind {
        Kind::Empty | Kind::Start | Kind::End => Some(vec![Spelling::default()]),
        Kind::Class(class) => Some(vec![Spelling {
            classes: vec![class],
            before: 0,
        }]),
        Kind::Concat(nodes) => nodes
            .iter()
            .try_fold(vec![Spelling::default()], |all, node| {
                follow(&all, &spellings(node)?)
            }),
        Kind::Alternation(nodes) => {
            let mut all = Vec::new();
            for node in nodes {
                all.extend(spellings(node)?);
            }
            (all.len() <= MAX_SPELLINGS).then_some(all)
        }
        Kind::Repeat(inner, Repeat { min, max, greedy }) => {
            let round = spellings(inner)?;
            let mut all = vec![Spelling::default()];
            // From the last round to the first: what a round is followed by is known then.
            for i in (0..(*max)?).rev() {
                let mut more = follow(&round, &all)?;
                if i >= *min {
                    let stop = if *greedy { more.len() } else { 0 };
                    more.insert(stop, Spelling::default());
                }
                all = more;
            }
            (all.len() <= MAX_SPELLINGS).then_some(all)
        }
        Kind::Namespace(inner) => spellings(inner),
    }
}

fn follow<'a>(first: &[Spelling<'a>], second: &[Spelling<'a>]) -> Option<Vec<Spelling<'a>>> {
    if first.len() * second.len() > MAX_SPELLINGS {
        return None;
    }
    let join = |a: &Spelling<'a>, b: &Spelling<'a>| {
        let classes = a.classes.iter().chain(&b.classes).copied().collect();
        Spelling {
            classes,
            before: a.before,
        }
    };
    Some(
        first
            .iter()
            .flat_map(|a| second.iter().map(move |b| join(a, b)))
            .collect(),
    )
}
