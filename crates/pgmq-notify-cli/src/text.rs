//! Text of somebody else's on a terminal: made harmless, and cut to the room there is.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Without what a terminal would obey: names and bodies are anybody's, and `NOTIFY` has no access control.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        if obeyed(character) {
            // Writing to a string does not fail.
            let _ = write!(result, "{}", character.escape_default());
        } else {
            result.push(character);
        }
    }
    Cow::Owned(result)
}

/// Control characters, and those that reorder what stands around them.
fn obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many columns of a terminal it takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning that fits `columns`, with `…` where something is missing.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut result = String::new();
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        // One is for the mark.
        if used >= columns {
            break;
        }
        result.push(character);
    }
    if columns > 0 {
        result.push('…');
    }
    Cow::Owned(result)
}

/// Followed by spaces up to `columns`.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{:missing$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(printable("Bestellungen für ほし"), "Bestellungen für ほし");
        assert_eq!(
            printable("\u{1b}[2Ja\u{9b}b\nc\u{202e}"),
            r"\u{1b}[2Ja\u{9b}b\nc\u{202e}"
        );
    }

    #[test]
    fn what_is_cut_fits_and_says_so() {
        for (columns, expected) in [(6, "abcdef"), (5, "abcd…"), (1, "…"), (0, "")] {
            assert_eq!(cut("abcdef", columns), expected);
        }
        // Two columns each.
        assert_eq!(cut("星星星", 5), "星星…");
        assert_eq!(cut("星星星", 4), "星…");
        assert_eq!(width(&padded("星", 4)), 4);
    }
}
