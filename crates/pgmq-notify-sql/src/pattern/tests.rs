use super::NamespacePattern;

#[test]
fn accepted_patterns_are_translated() {
    for (pattern, postgres) in [
        // What follows the group is a lookahead.
        ("(?P<namespace>[a-z]+)_queue", r"([a-z]+)(?=_queue)"),
        ("(?<namespace>[a-z]+)_queue", r"([a-z]+)(?=_queue)"),
        (
            r"\A(?P<namespace>[a-z]+)_queue\z",
            r"\A([a-z]+)(?=_queue\Z)",
        ),
        (
            "(?P<namespace>[a-z]+)_(?:queue|q)",
            r"([a-z]+)(?=_(?:queue|q))",
        ),
        (
            "(?P<namespace>[a-z]+?)(?:(_[0-9]+)+?|$)",
            r"([a-z]+?)(?=(?:(?:_[0-9]+)+|\Z))",
        ),
        // Choices in front of the first repetition.
        (
            "^(?:prod_|dev_)?(?P<namespace>[a-z]+)_queue$",
            r"\A(?:prod_|dev_)?([a-z]+)(?=_queue\Z)",
        ),
        (
            "^(?P<namespace>orders|billing)_queue$",
            r"\A(orders|billing)(?=_queue\Z)",
        ),
        (
            "^(?:q|queue)_(?P<namespace>[a-z]+)",
            r"\A(?:q|queue)_([a-z]+)",
        ),
        ("(?:^|_)(?P<namespace>[a-z]+)_q", r"(?:\A|_)([a-z]+)(?=_q)"),
        // Deterministic.
        (
            "(?P<namespace>[a-z]+(?:_[a-z]+)*)_q",
            r"([a-z]+(?:_[a-z]+)*)(?=_q)",
        ),
        // Several repetitions.
        ("[a-z]+_(?P<namespace>[a-z_]+)_q", r"[a-z]+_([_a-z]+)(?=_q)"),
        (
            "[a-z]{2,}(?P<namespace>[a-z]{1,3}[0-9]{4})",
            r"[a-z]{2,}([a-z]{1,3}[0-9]{4})",
        ),
        // Lazy.
        ("^(?P<namespace>.+?)__", r"\A([^\n]+?)(?=__)"),
        ("(?U)(?P<namespace>[a-z]+)[a-z]", r"([a-z]+?)(?=[a-z])"),
        (
            "(?:ab|cd)(?P<namespace>[a-z]+?)_",
            r"(?:ab|cd){1,1}?([a-z]+?)(?=_)",
        ),
        // The end of the group is known.
        (
            "^(?:prod_)?(?P<namespace>[a-z]+?)_queue$",
            r"\A(?:prod_)?([a-z]+)(?=_queue\Z)",
        ),
        (
            "^.*?(?P<namespace>(?:a|ab)*)$",
            r"\A[^\n]*?((?:(?:a|ab){1,1}?)*?)(?=\Z)",
        ),
        // Flags and other groups are dissolved.
        ("(?i)(?P<namespace>x[b-d])", r"([Xx][B-Db-d])"),
        ("a(?i:b)(?P<namespace>[^_])", r"a[Bb]([^_])"),
        ("(?x) ( a ) (?P<namespace> b ) # why", r"a(b)"),
        ("(?s)(?P<namespace>.)", r"(.)"),
        ("(?P<namespace>a|b|[x-z])", r"([abx-z])"),
        ("(?:(?:a){1}(?:){7}b{0})(?P<namespace>c)", r"a(c)"),
        // Nothing means itself that could mean something else.
        (r"(?P<namespace>[\[\]^\-a:]+)", r"([\-\:\[\]\^a]+)"),
        (
            r#"\$'"\\\*(?P<namespace>\t)"#,
            r"\u0024\u0027\u0022\\\*(\u0009)",
        ),
        ("é(?P<namespace>😀)", r"\u00E9(\U0001F600)"),
        (r"(?P<namespace>[^\n\x00])", r"([^\n])"),
        (r"(?P<namespace>[\x00-b])", r"([\u0001-b])"),
        (r"(?P<namespace>[b-\x{10FFFF}])", r"([b-\U0010FFFF])"),
    ] {
        match NamespacePattern::new(pattern) {
            Ok(translated) => assert_eq!(translated.postgres(), postgres, "{pattern}"),
            Err(error) => panic!("{pattern}: {error}"),
        }
    }
}

#[test]
fn constructs_without_a_counterpart_are_named() {
    refused(&[
        (
            "[a-z]+",
            "the pattern has no group called `namespace`; write",
        ),
        (
            "(?P<namespace>a",
            "`(` at byte 0: not a valid regular expression: unclosed group",
        ),
        (
            "a\n(?P<namespace>é[)",
            "`[` at byte 18 (line 2, column 16): not a valid regular expression: unclosed",
        ),
        (
            "(?P<namespace>a)(?P<namespace>b)",
            "`namespace` at byte 20: not a valid regular expression: duplicate",
        ),
        (
            "(?P<namespace>a)|b",
            "`(?P<namespace>a)` at byte 0: the group `namespace` must not stand inside an alt",
        ),
        (
            "x(?P<namespace>a)?",
            "`(?P<namespace>a)` at byte 1: the group `namespace` must not be optional or rep",
        ),
        (
            "(?:x(?P<namespace>a))+",
            "`(?P<namespace>a)` at byte 4: the group `namespace` must not be optional or",
        ),
        (
            "(?P<namespace>)x",
            "`(?P<namespace>)` at byte 0: the group `namespace` can only be empty; put",
        ),
        (
            "(?P<namespace>^a)",
            "`^` at byte 14: an anchor must not stand inside the group `namespace`; put it",
        ),
        (
            "$(?P<namespace>a)",
            "`$` at byte 0: the end of the name cannot come before the group `namespace`",
        ),
        (
            "(?P<namespace>a)^",
            "`^` at byte 16: the start of the name cannot come after the group `namespace`",
        ),
        (
            "(?:^|x)*(?P<namespace>a)",
            "`^` at byte 3: an anchor must not be repeated; take it out",
        ),
        (
            r"(?P<namespace>a)\b",
            r"`\b` at byte 16: word boundaries mean something else in PostgreSQL; name",
        ),
        (r"\<(?P<namespace>a)", r"`\<` at byte 0: word boundaries"),
        (
            "(?m)^(?P<namespace>a)",
            "`^` at byte 4: line anchors are not supported; anchor the whole name",
        ),
        (
            "(?mR:$)(?P<namespace>a)",
            "`$` at byte 5: line anchors are not supported",
        ),
        (
            "(?P<namespace>a)(?=b)",
            "`(?=` at byte 16: not a valid regular expression: look-around",
        ),
        (
            r"(?-u:\xff)(?P<namespace>a)",
            r"`\xff` at byte 5: not a valid regular expression: pattern can match inv",
        ),
        (
            r"\x00(?P<namespace>a)",
            r"`\x00` at byte 0: no character that a queue name can hold matches this",
        ),
        (
            "(?P<namespace>a)[a&&b]",
            "`[a&&b]` at byte 16: no character that a queue name can hold matches this",
        ),
        (
            "\0(?P<namespace>a)",
            r"`\u{0}` at byte 0: PostgreSQL's text cannot hold this character",
        ),
        (
            "a{256}(?P<namespace>a)",
            "`a{256}` at byte 0: PostgreSQL counts repetitions up to 255 only; use",
        ),
        (
            r"(?P<namespace>\w{200})",
            "the pattern is too large with its counted repetitions written out; use smaller",
        ),
        (
            r"(?P<namespace>a)\w\w\w\w\w\w\w\w\w",
            "the pattern names too many Unicode characters; use ASCII",
        ),
    ]);
}

#[test]
fn choices_that_differ_are_named() {
    refused(&[
        (
            "a*?(?P<namespace>b+)",
            "`b+` at byte 17: PostgreSQL cannot mix greedy and lazy repetitions up to the",
        ),
        (
            "a+(?:b_)?(?P<namespace>[ab]+)",
            "`(?:b_)?` at byte 2: a choice between different lengths must not fol",
        ),
        (
            "(?:a|ab)(?P<namespace>[ab]+)",
            "`(?:a|ab)` at byte 0: PostgreSQL would not try these possibilities in",
        ),
        (
            "^(?:a_)?(?P<namespace>[a_]+?)b",
            "`(?:a_)?` at byte 1: PostgreSQL would try these possibilities in ano",
        ),
        (
            "(?:a?b?)*(?P<namespace>[ab]+)",
            "`(?:a?b?)*` at byte 0: this can match in too many ways to be sure",
        ),
    ]);
}

#[track_caller]
fn refused(patterns: &[(&str, &str)]) {
    for (pattern, message) in patterns {
        match NamespacePattern::new(pattern) {
            Ok(translated) => panic!("{pattern} is accepted as {}", translated.postgres()),
            Err(error) => assert!(error.to_string().starts_with(message), "{pattern}: {error}"),
        }
    }
}

#[test]
fn an_error_has_its_place() {
    let error = NamespacePattern::new(r"(?P<namespace>a)\b").unwrap_err();
    assert_eq!(error.span(), Some(16..18));
    assert_eq!(NamespacePattern::new("a").unwrap_err().span(), None);
}

#[test]
fn the_default_pattern_is_accepted_as_code_points() {
    let pattern = NamespacePattern::new(r"(?P<namespace>\w+)_queue").unwrap();
    assert!(
        pattern
            .postgres()
            .starts_with(r"([0-9A-Z_a-z\u00AA\u00B5\u00BA\u00C0-\u00D6")
    );
    assert!(pattern.postgres().ends_with("]+)(?=_queue)"));
    assert!(pattern.postgres().is_ascii());
    assert_eq!(pattern.as_str(), r"(?P<namespace>\w+)_queue");
}

#[test]
fn no_translation_can_end_a_literal() {
    let pattern = r#"^'"\$pgmq\$[^'"$]--/\*(?P<namespace>.*)'\$body\$$"#;
    let translated = NamespacePattern::new(pattern).unwrap();
    let harmless = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '\'' | '"' | '$');
    assert!(
        translated.postgres().chars().all(harmless),
        "{}",
        translated.postgres()
    );
}

#[test]
fn long_and_deep_patterns_are_refused() {
    let long = format!("(?P<namespace>{})", "a".repeat(1_000));
    assert_eq!(
        NamespacePattern::new(&long).unwrap_err().to_string(),
        "the pattern has 1015 bytes; at most 1000 are supported"
    );
    let deep = format!("{}(?P<namespace>a){}", "(".repeat(400), ")".repeat(400));
    let error = NamespacePattern::new(&deep).unwrap_err().to_string();
    assert!(error.contains("nest"), "{error}");
}

#[test]
fn hard_patterns_are_answered_fast() {
    for pattern in [
        "(?:a?){250}(?P<namespace>[ab]?){0}",
        "(?P<namespace>(?:a?b?){0,250})",
        "(?P<namespace>a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?(?:ab)?)",
        "(?:(?:(?:a|b?){0,7}){0,7}){0,7}(?P<namespace>(?:(?:(?:a|b?){0,7}){0,7}){0,7})",
        "(?:(?:(?:(?:a{255}){255}){255}){255}){255}(?P<namespace>a)",
        "(?:(?:(?:(?:){255}){255}){255}){255}(?P<namespace>a)",
        "(?P<namespace>a)(?:(?:(?:(?:|()){255}){255}){255}){255}",
        "(?:(?:(?:(?:^|$|(?:)){1}(?:)){0,1}){0,1}(?:|)){0,1}(?P<namespace>a)",
    ] {
        let start = std::time::Instant::now();
        _ = NamespacePattern::new(pattern);
        assert!(start.elapsed().as_secs() < 5, "{pattern}");
    }
}
