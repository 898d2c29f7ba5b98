//! The spans and events that a crate's documentation names.

use std::collections::{BTreeMap, BTreeSet};

use tracing::Level;

use super::traced::Traced;

/// What stands in the table of the documentation.
pub(crate) struct Documented {
    pub(crate) name: &'static str,
    /// `span` or `event`, a comma, and the level or levels.
    pub(crate) sort: &'static str,
    pub(crate) fields: &'static [&'static str],
}

pub(crate) const fn documented(
    name: &'static str,
    sort: &'static str,
    fields: &'static [&'static str],
) -> Documented {
    Documented { name, sort, fields }
}

pub(crate) fn levels(traced: &[Traced]) -> Vec<Level> {
    traced.iter().map(|it| it.level).collect()
}

pub(crate) fn values<'a>(traced: &'a [Traced], field: &str) -> Vec<&'a str> {
    let values = traced.iter().map(|it| it.fields[field].as_str());
    values.collect()
}

/// Everything is as it is documented, and all that is documented is there but for what is `unseen`. A span
/// may lack the fields `later`, which are known at its end.
pub(crate) fn check(documented: &[Documented], all: &[Traced], unseen: &[&str], later: &[&str]) {
    let by_name: BTreeMap<_, _> = documented.iter().map(|it| (it.name, it)).collect();
    let mut seen = BTreeSet::new();
    for one in all {
        let Some(documented) = by_name.get(one.name.as_str()) else {
            panic!("it is not documented: {one:?}");
        };
        let (what, levels) = documented.sort.split_once(", ").unwrap();
        assert_eq!(one.is_span, what == "span", "{one:?}");
        let level = levels
            .split(" or ")
            .find(|it| it.eq_ignore_ascii_case(one.level.as_str()))
            .unwrap_or_else(|| panic!("not at this level: {one:?}"));
        let found: Vec<_> = one.fields.keys().copied().collect();
        let mut expected = documented.fields.to_vec();
        expected.retain(|it| !(one.is_span && later.contains(it) && !found.contains(it)));
        expected.sort_unstable();
        assert_eq!(found, expected, "{one:?}");
        seen.insert((one.name.as_str(), level));
    }
    for (name, documented) in &by_name {
        let (_, levels) = documented.sort.split_once(", ").unwrap();
        for level in levels.split(" or ") {
            let is_seen = seen.contains(&(*name, level));
            assert_eq!(is_seen, !unseen.contains(name), "{name} at {level}");
        }
    }
}

/// The table of the text has these names, levels and fields, and no others.
pub(crate) fn check_text(documented: &[Documented], text: &str) {
    let mut rows = 0;
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, sort, name, fields, ..] = cells.as_slice() else {
            continue;
        };
        if !sort.starts_with("span, ") && !sort.starts_with("event, ") {
            continue;
        }
        let name = name.trim_matches('`');
        let expected = documented
            .iter()
            .find(|it| it.name == name)
            .unwrap_or_else(|| panic!("not in this test: {name}"));
        assert_eq!(*sort, expected.sort, "{name}");
        for field in expected.fields {
            assert!(fields.contains(&format!("`{field}`")), "{name}: {field}");
        }
        rows += 1;
    }
    assert_eq!(rows, documented.len());
}
