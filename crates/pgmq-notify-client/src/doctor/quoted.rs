//! Text of others in statements.

/// A string literal, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', r"\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// An identifier.
pub(super) fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A word of a shell.
pub(super) fn word(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "_-./:@%+=,".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The first few of `names`, and how many more there are.
pub(super) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names {
        [first, second, third, _, _, ..] => {
            let others = names.len() - SHOWN;
            format!("{first}, {second}, {third} and {others} others")
        }
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_means_itself() {
        for (text, sql) in [("a", "'a'"), ("it's", "'it''s'"), (r"\'", r"E'\\'''")] {
            assert_eq!(literal(text), sql);
        }
        for (text, shell) in [
            ("orders_queue_dlq", "orders_queue_dlq"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(id)", "'$(id)'"),
        ] {
            assert_eq!(word(text), shell);
        }
    }

    #[test]
    fn of_many_names_some_are_said() {
        let names: Vec<_> = (1..=6).map(|n| format!("q{n}")).collect();
        assert_eq!(some_of(&names[..1]), "q1");
        assert_eq!(some_of(&names[..4]), "q1, q2, q3, q4");
        assert_eq!(some_of(&names), "q1, q2, q3 and 3 others");
    }
}
