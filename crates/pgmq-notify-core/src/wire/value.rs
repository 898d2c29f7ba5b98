//! Where a JSON value ends.

/// Of deeper values this does not know the end; a `u64` has a bit for each level.
const DEEPEST: u32 = 64;

/// The index behind the JSON value that begins at `start`, or `None` if it is none, is nested deeply, or
/// the text is about to end: then somebody slower and more patient has to look.
///
/// It accepts no more than `serde_json` does. The strings need not be text: that an escape such as
/// `\ud800` stands for no character shows when it is decoded.
pub(super) fn end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    // The innermost level is the lowest bit, set for an object.
    let (mut levels, mut depth) = (0_u64, 0);
    loop {
        at = match text.get(at)? {
            b'"' => end_of_string(text, at + 1)?,
            b'-' | b'0'..=b'9' => end_of_number(text, at)?,
            b't' => literal(text, at, b"true")?,
            b'f' => literal(text, at, b"false")?,
            b'n' => literal(text, at, b"null")?,
            open @ (b'{' | b'[') if depth < DEEPEST => {
                let is_object = *open == b'{';
                let inner = skip_space(text, at + 1)?;
                if text[inner] == if is_object { b'}' } else { b']' } {
                    inner + 1
                } else {
                    levels = levels << 1 | u64::from(is_object);
                    depth += 1;
                    at = if is_object {
                        end_of_key(text, inner)?
                    } else {
                        inner
                    };
                    continue;
                }
            }
            _ => return None,
        };
        loop {
            if depth == 0 {
                return Some(at);
            }
            at = skip_space(text, at)?;
            let is_object = levels & 1 == 1;
            match text[at] {
                b',' => {
                    at = skip_space(text, at + 1)?;
                    if is_object {
                        at = end_of_key(text, at)?;
                    }
                    break;
                }
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ => return None,
            }
            at += 1;
            levels >>= 1;
            depth -= 1;
        }
    }
}

/// Behind a key and its colon, where the value begins.
#[inline]
fn end_of_key(text: &[u8], at: usize) -> Option<usize> {
    if text[at] != b'"' {
        return None;
    }
    let colon = skip_space(text, end_of_string(text, at + 1)?)?;
    if text[colon] != b':' {
        return None;
    }
    skip_space(text, colon + 1)
}

/// Behind the closing quotation mark of the string whose content begins at `at`.
#[inline]
fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += plain(text, at)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match text.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    let digits = text.get(at + 2..at + 6)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    at += 6;
                }
                _ => return None,
            },
            // A control character.
            _ => return None,
        }
    }
}

/// Where the string whose content begins at `start` ends, before its closing quotation mark. `None` for one
/// with escapes: it does not stand for itself.
#[inline]
pub(super) fn end_of_plain_string(text: &[u8], start: usize) -> Option<usize> {
    let end = start + plain(text, start)?;
    (text.get(end)? == &b'"').then_some(end)
}

/// How many bytes from `at` on are neither a quotation mark, a backslash nor a control character.
/// `None` when the text ends before.
#[inline]
fn plain(text: &[u8], at: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The lowest bit that is set is right; one above it may be set by the borrow of a subtraction.
    let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & HIGH;
    let (eights, rest) = text.get(at..)?.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        let control = eight.wrapping_sub(ONES * 0x20) & !eight & HIGH;
        let quotation_mark = is_zero(eight ^ (ONES * u64::from(b'"')));
        let backslash = is_zero(eight ^ (ONES * u64::from(b'\\')));
        let found = control | quotation_mark | backslash;
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest
        .iter()
        .position(|it| matches!(it, ..0x20 | b'"' | b'\\'));
    found.map(|index| eights.len() * 8 + index)
}

#[inline]
fn end_of_number(text: &[u8], start: usize) -> Option<usize> {
    let digits = |at: usize| {
        let count = text[at..]
            .iter()
            .take_while(|it| it.is_ascii_digit())
            .count();
        (count > 0).then_some(at + count)
    };
    let mut at = start + usize::from(text[start] == b'-');
    at = if text.get(at)? == &b'0' {
        at + 1
    } else {
        digits(at)?
    };
    if text.get(at)? == &b'.' {
        at = digits(at + 1)?;
    }
    if let b'e' | b'E' = text.get(at)? {
        at += 1;
        at += usize::from(matches!(text.get(at)?, b'+' | b'-'));
        at = digits(at)?;
    }
    // Such as the second digit of `01`: it is for whoever comes next, who expects none.
    Some(at)
}

fn literal(text: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    text[at..]
        .starts_with(literal)
        .then_some(at + literal.len())
}

/// The next byte that is no space, which is there.
#[inline]
fn skip_space(text: &[u8], mut at: usize) -> Option<usize> {
    while let b' ' | b'\n' | b'\t' | b'\r' = text.get(at)? {
        at += 1;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So much follows every value in a notification.
    const REST: &str = r#","headers":null}"#;

    fn ends(value: &str) -> bool {
        let text = format!("{value}{REST}");
        end(text.as_bytes(), 0) == Some(value.len())
    }

    #[test]
    fn what_is_a_value_ends_where_it_ends() {
        for value in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "10",
            "-1.50e+10",
            "1E5",
            r#""""#,
            r#""a\"b\\c\/d\b\f\n\r\t\u00e4\ud800""#,
            r#""seven b""#,
            r#""eight by""#,
            r#""ä ö ü — 🐘 and more than eight""#,
            "[]",
            "{}",
            "[ ]",
            "{\n}",
            r#"[1, "]", [[], {}], {"}": [true]}, null]"#,
            r#"{"a": {"b": [1, {"c": "\""}]}, "d" : -1}"#,
        ] {
            assert!(ends(value), "{value}");
        }
    }

    #[test]
    fn what_is_no_value_has_no_end() {
        for value in [
            "",
            " 1",
            "nul",
            "-",
            "1.",
            "1e",
            "1e+",
            ".5",
            "+1",
            "'a'",
            "\"a\nb\"",
            "\"a\u{1f}b\"",
            r#""\x""#,
            r#""\u00g0""#,
            "[1,]",
            "[,1]",
            "[1 2]",
            "[}",
            "{]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r"{1:2}",
            r#"{"a" 1}"#,
            "[1}",
            r#"{"a":1]"#,
        ] {
            let text = format!("{value}{REST}");
            let end = end(text.as_bytes(), 0);
            assert!(end.is_none_or(|it| it < value.len()), "{value}: {end:?}");
        }
    }

    #[test]
    fn a_text_that_ends_too_early_has_no_end() {
        let text = r#"{"a": [1.5e5, "b\u00e4\n", true, null, {}], "c": "d"}"#;
        for length in 0..text.len() {
            assert_eq!(end(&text.as_bytes()[..length], 0), None, "{length}");
        }
    }

    #[test]
    fn levels_are_counted_up_to_the_deepest() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(ends(&nested(64)));
        assert!(!ends(&nested(65)));
        let mixed = format!("{}1{}", r#"[{"a":"#.repeat(32), "}]".repeat(32));
        assert!(ends(&mixed));
    }
}
