/// A place in a text, as editors count it: lines and characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// The place of the byte `offset` of `text`; the end of the text when it is beyond.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Default for Position {
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_count_from_one() {
        let text = "a = 1\nö = \"🐘\" # end";
        let cases = [
            ("a", (1, 1)),
            ("1", (1, 5)),
            ("ö", (2, 1)),
            ("=", (1, 3)),
            ("#", (2, 9)),
        ];
        for (needle, (line, column)) in cases {
            let offset = text.find(needle).unwrap();
            assert_eq!(Position::of(text, offset), Position { line, column });
        }
        assert_eq!(Position::of(text, 999).line, 2);
        assert_eq!(Position::of("", 0), Position::default());
    }
}
