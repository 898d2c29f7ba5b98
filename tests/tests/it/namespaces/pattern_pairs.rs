//! Queue naming patterns at random, each with names that match it or nearly do.

use fastrand::Rng;

/// Names per pattern.
const NAMES: usize = 30;

/// Draws a pattern, valid or not, accepted or not, and names to try it on.
pub(crate) fn draw(rng: &mut Rng) -> (String, Vec<String>) {
    let pattern = pattern(rng);
    let mut text = String::new();
    pattern.write(&mut text);
    let names = (0..NAMES).map(|_| name(rng, &pattern)).collect();
    (text, names)
}

/// A pattern that can be written, and read backwards: as a text that it matches, if flags and anchors allow.
enum Piece {
    /// What is written, and some of what it matches.
    Atom(&'static str, &'static [&'static str]),
    Sequence(Vec<Piece>),
    Alternatives(Vec<Piece>),
    Group(&'static str, Box<Piece>),
    Repeat(Box<Piece>, &'static str, usize, usize),
}

const LETTERS: &[Piece] = &[
    Piece::Atom("a", &["a"]),
    Piece::Atom("b", &["b"]),
    Piece::Atom("_", &["_"]),
];

const CLASSES: &[Piece] = &[
    Piece::Atom("[ab]", &["a", "b"]),
    Piece::Atom("[a_]", &["a", "_"]),
    Piece::Atom("[^_]", &["a", "b", "é", "\n"]),
    Piece::Atom("[^a]", &["b", "_", "😀"]),
    Piece::Atom("[a-y]", &["a", "b", "q"]),
    Piece::Atom(".", &["a", "b", "_", "😀", "'"]),
    Piece::Atom(
        r"\w",
        &["a", "b", "_", "é", "ß", "1", "\u{e9}\u{301}", "𝒳", "٣"],
    ),
];

const ODDITIES: &[Piece] = &[
    Piece::Atom("é", &["é"]),
    Piece::Atom("😀", &["😀"]),
    Piece::Atom("'", &["'"]),
    Piece::Atom("\"", &["\""]),
    Piece::Atom(r"\$", &["$"]),
    Piece::Atom(r"\\", &["\\"]),
    Piece::Atom(r"\.", &["."]),
    Piece::Atom(r"\*", &["*"]),
    Piece::Atom("-", &["-"]),
    Piece::Atom("%", &["%"]),
    Piece::Atom(r"\]", &["]"]),
    Piece::Atom(r"\n", &["\n"]),
    Piece::Atom("\t", &["\t"]),
    Piece::Atom(r"\x7f", &["\u{7f}"]),
    Piece::Atom(r"\x{10FFFF}", &["\u{10ffff}"]),
    Piece::Atom(r"\x00", &[""]),
    Piece::Atom(r"\d", &["1", "٣"]),
    Piece::Atom(r"\D", &["a", "_", "\n"]),
    Piece::Atom(r"\s", &[" ", "\u{a0}", "\n", "\u{85}"]),
    Piece::Atom(r"\S", &["a", "_", "\u{200b}"]),
    Piece::Atom(r"\W", &["-", "\u{d7ff}", "\u{e000}", "'"]),
    Piece::Atom(r"\pL", &["a", "é", "ß", "中"]),
    Piece::Atom(r"\PL", &["_", "1", "\u{10ffff}"]),
    Piece::Atom(r"\p{Greek}", &["α", "Ω"]),
    Piece::Atom("[[:alpha:]]", &["a", "b"]),
    Piece::Atom("[[:^punct:]]", &["a", "b", "é"]),
    Piece::Atom("[^[:word:]-]", &["é", ".", "\n"]),
    Piece::Atom(r"[\w&&[^_]]", &["a", "b", "é"]),
    Piece::Atom(r"[\w--b]", &["a", "_"]),
    Piece::Atom(r"[\^\-\]\[.:=]", &["^", "-", "]", "[", ":"]),
    Piece::Atom(r"[^\^\-\]\[]", &["a", "\\"]),
    Piece::Atom(r"[\x01-\x{D7FF}]", &["\u{1}", "\u{d7ff}"]),
    Piece::Atom(r"[\x{E000}-\x{10FFFF}]", &["\u{e000}", "😀"]),
    Piece::Atom("[é-ü]", &["é", "ü", "ê"]),
    Piece::Atom("(?i:a)", &["a", "A"]),
    Piece::Atom("(?i:k)", &["k", "K", "\u{212a}"]),
    Piece::Atom("(?i:s)", &["s", "S", "ſ"]),
    Piece::Atom("(?i:ß)", &["ß", "ẞ"]),
    Piece::Atom("(?s:.)", &["a", "\n", "_"]),
    Piece::Atom("(?R:.)", &["a", "_"]),
    Piece::Atom(r"(?-u:\w)", &["a", "_"]),
    Piece::Atom("(?-u:.)", &["a"]),
    Piece::Atom(r"(?-u:\xff)", &["ÿ"]),
    Piece::Atom("(?x: a # b\n)", &["a"]),
    Piece::Atom("(?i)", &[""]),
    Piece::Atom("(?s)", &[""]),
    Piece::Atom("(?U)", &[""]),
    Piece::Atom("(?x)", &[""]),
    Piece::Atom(r"\b", &[""]),
    Piece::Atom(r"\B", &[""]),
    Piece::Atom(r"\b{start}", &[""]),
    Piece::Atom("(?m:^)", &["", "\n"]),
    Piece::Atom("(?m:$)", &["", "\n"]),
    Piece::Atom("(?mR:$)", &["", "\r\n"]),
    Piece::Atom("(?:)", &[""]),
    Piece::Atom("()", &[""]),
    Piece::Atom("[^\\x00-\\x{10FFFF}]", &["a"]),
];

const ANCHORS: &[Piece] = &[
    Piece::Atom("^", &[""]),
    Piece::Atom("$", &[""]),
    Piece::Atom(r"\A", &[""]),
    Piece::Atom(r"\z", &[""]),
];

const QUANTIFIERS: &[(&str, usize, usize)] = &[
    ("?", 0, 1),
    ("*", 0, 3),
    ("+", 1, 3),
    ("{2}", 2, 2),
    ("{1}", 1, 1),
    ("{0}", 0, 0),
    ("{0,2}", 0, 2),
    ("{1,2}", 1, 2),
    ("{1,3}", 1, 3),
    ("{2,}", 2, 4),
    ("{3,20}", 3, 5),
];

fn pattern(rng: &mut Rng) -> Piece {
    // All greedy, all lazy, or mixed: at random, few patterns would be of one kind.
    let lazy = *rng.choice(&[0, 0, 0, 100, 100, 20]).unwrap_or(&0);
    let mut pieces = Vec::new();
    if rng.u8(..3) == 0 {
        pieces.push(Piece::Atom("^", &[""]));
    }
    // The three parts differ in how wild they are, so that every rule of acceptance is reached.
    let wild = rng
        .choice([
            [0, 0, 3],
            [1, 0, 3],
            [0, 1, 3],
            [2, 0, 2],
            [0, 2, 0],
            [2, 3, 0],
            [3, 3, 3],
        ])
        .unwrap_or([3; 3]);
    let lengths = [rng.usize(..4), rng.usize(1..4), rng.usize(..4)];
    for part in 0..3 {
        let inner = sequence(rng, lengths[part], wild[part], lazy);
        match part {
            1 if rng.u8(..60) > 0 => pieces.push(Piece::Group("(?P<namespace>", Box::new(inner))),
            1 => pieces.push(Piece::Repeat(
                Box::new(Piece::Group("(?<namespace>", Box::new(inner))),
                "?",
                0,
                1,
            )),
            2 if rng.u8(..4) == 0 => pieces.push(Piece::Atom("_queue", &["_queue"])),
            _ => pieces.push(inner),
        }
    }
    if rng.u8(..2) == 0 {
        pieces.push(Piece::Atom("$", &[""]));
    }
    let whole = Piece::Sequence(pieces);
    match rng.u8(..40) {
        0 => Piece::Alternatives(vec![whole, Piece::Atom("b", &["b"])]),
        1 => Piece::Sequence(vec![Piece::Atom("(?i)", &[""]), whole]),
        2 => Piece::Sequence(vec![Piece::Atom("(?U)", &[""]), whole]),
        3 => Piece::Sequence(vec![Piece::Atom("(?s)", &[""]), whole]),
        _ => whole,
    }
}

fn sequence(rng: &mut Rng, length: usize, wild: usize, lazy: u8) -> Piece {
    Piece::Sequence((0..length).map(|_| piece(rng, wild, lazy)).collect())
}

fn piece(rng: &mut Rng, wild: usize, lazy: u8) -> Piece {
    let piece = match rng.u8(..100) {
        0..40 => pick(rng, LETTERS),
        40..72 => pick(rng, CLASSES),
        72..77 => pick(rng, ODDITIES),
        77..79 => pick(rng, ANCHORS),
        _ if wild == 0 => pick(rng, LETTERS),
        _ => group(rng, wild - 1, lazy),
    };
    if rng.u8(..100) >= 40 {
        return piece;
    }
    if matches!(piece, Piece::Group(..)) && wild < 2 && rng.bool() {
        return piece;
    }
    let &(quantifier, min, max) = match rng.u8(..100) {
        0 => &("{300}", 1, 2),
        1 => &("{3,200}", 3, 5),
        _ => rng.choice(QUANTIFIERS).unwrap_or(&QUANTIFIERS[0]),
    };
    let repeat = Piece::Repeat(Box::new(piece), quantifier, min, max);
    if rng.u8(..100) < lazy {
        Piece::Repeat(Box::new(repeat), "", 1, 1).with_lazy()
    } else {
        repeat
    }
}

fn group(rng: &mut Rng, wild: usize, lazy: u8) -> Piece {
    let open = *rng
        .choice(&[
            "(?:",
            "(?:",
            "(?:",
            "(",
            "(?i:",
            "(?U:",
            "(?s-u:",
            "(?P<other>",
        ])
        .unwrap_or(&"(?:");
    let inner = if rng.u8(..4) == 0 {
        let length = rng.usize(1..4);
        sequence(rng, length, wild, lazy)
    } else {
        let alternatives = rng.usize(2..4);
        Piece::Alternatives((0..alternatives).map(|_| short(rng, wild, lazy)).collect())
    };
    Piece::Group(open, Box::new(inner))
}

fn short(rng: &mut Rng, wild: usize, lazy: u8) -> Piece {
    let length = rng.usize(..3);
    if rng.u8(..12) == 0 {
        return pick(rng, ANCHORS);
    }
    if wild == 0 {
        return Piece::Sequence((0..length).map(|_| pick(rng, LETTERS)).collect());
    }
    sequence(rng, length, wild, lazy)
}

fn pick(rng: &mut Rng, from: &[Piece]) -> Piece {
    match rng.choice(from) {
        Some(Piece::Atom(text, matches)) => Piece::Atom(text, matches),
        _ => Piece::Atom("a", &["a"]),
    }
}

impl Piece {
    /// `x*` to `x*?`.
    fn with_lazy(self) -> Self {
        match self {
            Self::Repeat(inner, ..) => Self::Sequence(vec![*inner, Self::Atom("?", &[""])]),
            other => other,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Atom(text, _) => out.push_str(text),
            Self::Sequence(pieces) => pieces.iter().for_each(|piece| piece.write(out)),
            Self::Alternatives(pieces) => {
                for (i, piece) in pieces.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "|" });
                    piece.write(out);
                }
            }
            Self::Group(open, inner) => {
                out.push_str(open);
                inner.write(out);
                out.push(')');
            }
            Self::Repeat(inner, quantifier, ..) => {
                inner.write(out);
                out.push_str(quantifier);
            }
        }
    }

    fn sample(&self, rng: &mut Rng, out: &mut String) {
        match self {
            Self::Atom(_, matches) => out.push_str(rng.choice(*matches).unwrap_or(&"")),
            Self::Sequence(pieces) => pieces.iter().for_each(|piece| piece.sample(rng, out)),
            Self::Alternatives(pieces) => {
                if let Some(piece) = rng.choice(pieces) {
                    piece.sample(rng, out);
                }
            }
            Self::Group(_, inner) => inner.sample(rng, out),
            Self::Repeat(inner, _, min, max) => {
                for _ in 0..rng.usize(min..=max) {
                    inner.sample(rng, out);
                }
            }
        }
    }
}

fn name(rng: &mut Rng, pattern: &Piece) -> String {
    let mut name = String::new();
    if rng.u8(..4) > 0 {
        pattern.sample(rng, &mut name);
    } else {
        for _ in 0..rng.usize(..10) {
            name.push(*rng.choice(&['a', 'b', '_']).unwrap_or(&'a'));
        }
    }
    let mut chars: Vec<char> = name.chars().collect();
    for _ in 0..*rng.choice(&[0, 0, 1, 1, 2, 4]).unwrap_or(&0) {
        let at = rng.usize(..=chars.len());
        let usual = [
            'a', 'b', '_', 'a', 'b', '_', 'q', 'é', '😀', '\n', '\'', '-', '\r', 'A', '中', '$',
            '\\',
        ];
        match rng.u8(..5) {
            0 if at < chars.len() => _ = chars.remove(at),
            1 if at < chars.len() => chars.insert(at, chars[at]),
            2 => {
                let copy = chars.clone();
                chars.splice(at..at, copy);
            }
            _ => chars.insert(at, *rng.choice(&usual).unwrap_or(&'a')),
        }
    }
    chars.truncate(60);
    chars.into_iter().filter(|&c| c != '\0').collect()
}
