//! Is there only one way to go on, whatever the next character is?
//!
//! Number the characters and classes of a pattern as positions. If no two positions that can come first share a
//! character, and no two that can follow the same position do, a text has at most one way through the pattern, and
//! all there is to choose is whether to stop. If in addition every repetition is greedy, and no alternative but the
//! last can be empty, Rust always prefers to go on: so it takes the longest way, as PostgreSQL does. Where `before`
//! ends is determined by the way.
//!
//! This is what admits `[a-z]+(?:-[a-z]+)*`.

use super::class::Class;
use super::tree::{Kind, Node, Repeat};

pub(super) fn is_deterministic(sequence: &[Node]) -> bool {
    let mut positions = Positions::default();
    let Some(all) = positions.sequence(sequence) else {
        return false;
    };
    positions.differ(&all.first)
        && positions
            .follow
            .iter()
            .all(|follow| positions.differ(follow))
}

#[derive(Default)]
struct Positions<'n> {
    classes: Vec<&'n Class>,
    /// The positions that can come after each.
    follow: Vec<Vec<usize>>,
}

/// Where a part of the pattern begins and ends.
struct Part {
    can_be_empty: bool,
    first: Vec<usize>,
    last: Vec<usize>,
}

impl Part {
    fn empty() -> Self {
        Self {
            can_be_empty: true,
            first: Vec::new(),
            last: Vec::new(),
        }
    }
}

impl<'n> Positions<'n> {
    /// `None` if something prefers to stop.
    fn part(&mut self, node: &'n Node) -> Option<Part> {
        match &node.kind {
            Kind::Empty | Kind::Start | Kind::End => Some(Part::empty()),
            Kind::Class(class) => {
                let position = self.classes.len();
                self.classes.push(class);
                self.follow.push(Vec::new());
                Some(Part {
                    can_be_empty: false,
                    first: vec![position],
                    last: vec![position],
                })
            }
            Kind::Concat(nodes) => self.sequence(nodes),
            Kind::Alternation(nodes) => {
                let mut all = Part {
                    can_be_empty: false,
                    ..Part::empty()
                };
                for node in nodes {
                    if all.can_be_empty {
                        return None;
                    }
                    let part = self.part(node)?;
                    all.can_be_empty = part.can_be_empty;
                    all.first.extend(part.first);
                    all.last.extend(part.last);
                }
                Some(all)
            }
            Kind::Repeat(inner, repeat) => self.repeat(inner, *repeat),
            Kind::Namespace(inner) => self.part(inner),
        }
    }

    fn sequence(&mut self, nodes: &'n [Node]) -> Option<Part> {
        nodes.iter().try_fold(Part::empty(), |all, node| {
            let part = self.part(node)?;
            Some(self.join(all, part))
        })
    }

    fn repeat(&mut self, inner: &'n Node, Repeat { min, max, greedy }: Repeat) -> Option<Part> {
        if !greedy && max != Some(min) {
            return None;
        }
        // As `x{1,3}` is `x(x(x)?)?`, from the inside out.
        let mut all = Part::empty();
        for round in (0..max.unwrap_or(min.max(1))).rev() {
            let part = self.part(inner)?;
            if max.is_none() && all.last.is_empty() {
                self.connect(&part.last, &part.first);
            }
            all = self.join(part, all);
            all.can_be_empty |= round >= min;
        }
        Some(all)
    }

    fn join(&mut self, mut a: Part, b: Part) -> Part {
        self.connect(&a.last, &b.first);
        if a.can_be_empty {
            a.first.extend(&b.first);
        }
        let mut last = b.last;
        if b.can_be_empty {
            last.append(&mut a.last);
        }
        Part {
            can_be_empty: a.can_be_empty && b.can_be_empty,
            first: a.first,
            last,
        }
    }

    fn connect(&mut self, from: &[usize], to: &[usize]) {
        for &position in from {
            self.follow[position].extend(to);
        }
    }

    fn differ(&self, positions: &[usize]) -> bool {
        positions.iter().enumerate().all(|(i, &a)| {
            positions[i + 1..]
                .iter()
                .all(|&b| a == b || !self.classes[a].intersects(self.classes[b]))
        })
    }
}
