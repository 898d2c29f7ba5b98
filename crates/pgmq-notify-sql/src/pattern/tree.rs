use std::ops::Range;

use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{HirKind, Look};

use super::class::Class;
use super::error::{PatternError, bytes};

pub(super) const GROUP: &str = "namespace";

/// A pattern reduced to what a match depends on, each part with the bytes it was written as.
///
/// regex-syntax's own `Hir` says the same, but not where anything stands, and an error has to say that. Flags
/// are resolved, and so are groups other than the namespace's: no other capture is ever looked at.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Empty,
    Class(Class),
    /// The beginning of the name.
    Start,
    /// The end of the name.
    End,
    Concat(Vec<Node>),
    Alternation(Vec<Node>),
    Repeat(Box<Node>, Repeat),
    Namespace(Box<Node>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) greedy: bool,
}

impl Node {
    /// How many characters a match has: at least, and at most (`None`: no bound).
    pub(super) fn length(&self) -> (usize, Option<usize>) {
        match &self.kind {
            Kind::Empty | Kind::Start | Kind::End => (0, Some(0)),
            Kind::Class(_) => (1, Some(1)),
            Kind::Concat(nodes) => length(nodes),
            Kind::Alternation(nodes) => nodes
                .iter()
                .map(Self::length)
                .reduce(|a, b| (a.0.min(b.0), a.1.zip(b.1).map(|(a, b)| a.max(b))))
                .unwrap_or((0, Some(0))),
            Kind::Repeat(node, repeat) => {
                let (min, max) = node.length();
                let times = repeat.max.map(|times| times as usize);
                let max = if max == Some(0) {
                    max
                } else {
                    max.zip(times).map(|(max, times)| max.saturating_mul(times))
                };
                (min.saturating_mul(repeat.min as usize), max)
            }
            Kind::Namespace(node) => node.length(),
        }
    }

    pub(super) fn has_fixed_length(&self) -> bool {
        is_fixed(self.length())
    }

    /// The first part, in the order of the pattern, for which `wanted` holds.
    pub(super) fn find(&self, wanted: &impl Fn(&Kind) -> bool) -> Option<&Self> {
        if wanted(&self.kind) {
            return Some(self);
        }
        match &self.kind {
            Kind::Concat(nodes) | Kind::Alternation(nodes) => {
                nodes.iter().find_map(|node| node.find(wanted))
            }
            Kind::Repeat(node, _) | Kind::Namespace(node) => node.find(wanted),
            Kind::Empty | Kind::Class(_) | Kind::Start | Kind::End => None,
        }
    }
}

/// The length of a sequence; see [`Node::length`].
pub(super) fn length(nodes: &[Node]) -> (usize, Option<usize>) {
    nodes.iter().map(Node::length).fold((0, Some(0)), |a, b| {
        (
            a.0.saturating_add(b.0),
            a.1.zip(b.1).map(|(a, b)| a.saturating_add(b)),
        )
    })
}

pub(super) fn is_fixed((min, max): (usize, Option<usize>)) -> bool {
    max == Some(min)
}

/// Parses as the `regex` crate does with its default settings.
pub(super) fn parse(pattern: &str) -> Result<Node, PatternError> {
    let ast = ast::parse::Parser::new()
        .parse(pattern)
        .map_err(|error| PatternError::syntax(pattern, &error.into()))?;
    // What can only be seen with every flag resolved, for example that a pattern may match half a character.
    TranslatorBuilder::new()
        .build()
        .translate(pattern, &ast)
        .map_err(|error| PatternError::syntax(pattern, &error.into()))?;
    let flags = Flags {
        case_insensitive: false,
        multi_line: false,
        dot_all: false,
        swap_greed: false,
        unicode: true,
        crlf: false,
    };
    Reader { pattern, flags }.read(&ast)
}

#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the six flags of the syntax, each on or off"
)]
struct Flags {
    case_insensitive: bool,
    multi_line: bool,
    dot_all: bool,
    swap_greed: bool,
    unicode: bool,
    crlf: bool,
}

impl Flags {
    fn set(&mut self, flags: &ast::Flags) {
        let set = |field: &mut bool, flag| *field = flags.flag_state(flag).unwrap_or(*field);
        set(&mut self.case_insensitive, ast::Flag::CaseInsensitive);
        set(&mut self.multi_line, ast::Flag::MultiLine);
        set(&mut self.dot_all, ast::Flag::DotMatchesNewLine);
        set(&mut self.swap_greed, ast::Flag::SwapGreed);
        set(&mut self.unicode, ast::Flag::Unicode);
        set(&mut self.crlf, ast::Flag::CRLF);
    }
}

struct Reader<'p> {
    pattern: &'p str,
    flags: Flags,
}

impl Reader<'_> {
    fn read(&mut self, ast: &Ast) -> Result<Node, PatternError> {
        let span = bytes(ast.span());
        let kind = match ast {
            Ast::Empty(_) => Kind::Empty,
            // Flags hold to the end of the enclosing group, across its alternatives.
            Ast::Flags(set) => {
                self.flags.set(&set.flags);
                Kind::Empty
            }
            Ast::Group(group) => return self.group(group),
            Ast::Repetition(repetition) => return self.repetition(repetition),
            Ast::Concat(concat) => sequence(self.read_all(&concat.asts)?),
            Ast::Alternation(alternation) => alternatives(self.read_all(&alternation.asts)?),
            Ast::Literal(_)
            | Ast::Dot(_)
            | Ast::Assertion(_)
            | Ast::ClassUnicode(_)
            | Ast::ClassPerl(_)
            | Ast::ClassBracketed(_) => self.leaf(ast)?,
        };
        Ok(Node { span, kind })
    }

    fn read_all(&mut self, asts: &[Ast]) -> Result<Vec<Node>, PatternError> {
        asts.iter().map(|ast| self.read(ast)).collect()
    }

    fn group(&mut self, group: &ast::Group) -> Result<Node, PatternError> {
        let outside = self.flags;
        if let ast::GroupKind::NonCapturing(flags) = &group.kind {
            self.flags.set(flags);
        }
        let inner = self.read(&group.ast)?;
        self.flags = outside;
        let is_namespace =
            matches!(&group.kind, ast::GroupKind::CaptureName { name, .. } if name.name == GROUP);
        let kind = if is_namespace {
            Kind::Namespace(Box::new(inner))
        } else {
            inner.kind
        };
        Ok(Node {
            span: bytes(&group.span),
            kind,
        })
    }

    fn repetition(&mut self, repetition: &ast::Repetition) -> Result<Node, PatternError> {
        let span = bytes(&repetition.span);
        let (min, max) = match repetition.op.kind {
            ast::RepetitionKind::ZeroOrOne => (0, Some(1)),
            ast::RepetitionKind::ZeroOrMore => (0, None),
            ast::RepetitionKind::OneOrMore => (1, None),
            ast::RepetitionKind::Range(ast::RepetitionRange::Exactly(n)) => (n, Some(n)),
            ast::RepetitionKind::Range(ast::RepetitionRange::AtLeast(n)) => (n, None),
            ast::RepetitionKind::Range(ast::RepetitionRange::Bounded(min, max)) => (min, Some(max)),
        };
        if max.unwrap_or(min) > 255 {
            return Err(self.refuse(
                &span,
                "PostgreSQL counts repetitions up to 255 only; use a smaller count, or none",
            ));
        }
        let node = self.read(&repetition.ast)?;
        if let Some(namespace) = node.find(&|kind| matches!(kind, Kind::Namespace(_))) {
            return Err(self.refuse(
                &namespace.span,
                "the group `namespace` must not be optional or repeated; let what is inside it repeat instead",
            ));
        }
        let anchor = node.find(&|kind| matches!(kind, Kind::Start | Kind::End));
        if let (Some(anchor), false) = (anchor, max == Some(1)) {
            return Err(self.refuse(
                &anchor.span,
                "an anchor must not be repeated; take it out of the repetition",
            ));
        }
        let kind = match (min, max) {
            (_, Some(0)) => Kind::Empty,
            (1, Some(1)) => node.kind,
            _ if matches!(node.kind, Kind::Empty) => Kind::Empty,
            _ => {
                let greedy = repetition.greedy != self.flags.swap_greed;
                Kind::Repeat(Box::new(node), Repeat { min, max, greedy })
            }
        };
        Ok(Node { span, kind })
    }

    /// One character or one assertion: the parser's own translation says what the flags make of it.
    fn leaf(&self, ast: &Ast) -> Result<Kind, PatternError> {
        let hir = TranslatorBuilder::new()
            .case_insensitive(self.flags.case_insensitive)
            .multi_line(self.flags.multi_line)
            .dot_matches_new_line(self.flags.dot_all)
            .unicode(self.flags.unicode)
            .crlf(self.flags.crlf)
            .build()
            .translate(self.pattern, ast)
            .map_err(|error| PatternError::syntax(self.pattern, &error.into()))?;
        let span = bytes(ast.span());
        let class = match hir.kind() {
            HirKind::Look(look) => return self.assertion(*look, &span),
            HirKind::Class(class) => Class::of_hir(class),
            HirKind::Literal(literal) => {
                match std::str::from_utf8(&literal.0).map(|text| text.chars().next()) {
                    Ok(Some(c)) => Class::of_char(c),
                    _ => return Err(self.refuse(&span, "not a character; write it as text")),
                }
            }
            _ => return Err(self.refuse(&span, "not a single character; write it in another way")),
        };
        if class.is_empty() {
            return Err(self.refuse(
                &span,
                "no character that a queue name can hold matches this; take it out",
            ));
        }
        Ok(Kind::Class(class))
    }

    fn assertion(&self, look: Look, span: &Range<usize>) -> Result<Kind, PatternError> {
        let reason = match look {
            Look::Start => return Ok(Kind::Start),
            Look::End => return Ok(Kind::End),
            Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF => {
                "line anchors are not supported; anchor the whole name, without the flag `m`"
            }
            _ => {
                "word boundaries mean something else in PostgreSQL; name the characters that may stand there"
            }
        };
        Err(self.refuse(span, reason))
    }

    fn refuse(&self, span: &Range<usize>, reason: &str) -> PatternError {
        PatternError::at(self.pattern, span, reason)
    }
}

/// A sequence without its empty parts; of one part, that part alone.
fn sequence(nodes: Vec<Node>) -> Kind {
    let mut nodes: Vec<_> = nodes
        .into_iter()
        .filter(|node| !matches!(node.kind, Kind::Empty))
        .collect();
    match nodes.len() {
        0 => Kind::Empty,
        1 => nodes.remove(0).kind,
        _ => Kind::Concat(nodes),
    }
}

/// Alternatives that are one character each are one class; if all are empty, there is nothing to choose.
fn alternatives(nodes: Vec<Node>) -> Kind {
    if nodes.iter().all(|node| matches!(node.kind, Kind::Empty)) {
        return Kind::Empty;
    }
    let union = nodes
        .iter()
        .map(|node| match &node.kind {
            Kind::Class(class) => Some(class.clone()),
            _ => None,
        })
        .reduce(|a, b| Some(a?.union(&b?)));
    union
        .flatten()
        .map_or(Kind::Alternation(nodes), Kind::Class)
}
