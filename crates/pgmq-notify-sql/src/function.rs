//! The functions that a migration creates, as the catalog will have them.

/// A function of the schema `pgmq_notify`, as a migration creates it.
///
/// Overloads have the same name; no two of them have the same source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionDefinition {
    /// Its name, without the schema.
    pub name: String,
    /// Its body: `prosrc`.
    pub source: String,
    /// `prosecdef`.
    pub security_definer: bool,
    /// Its settings, each as `name=value`: `proconfig`.
    pub settings: Vec<String>,
}

const CREATE: &str = "create or replace function pgmq_notify.";
const QUOTE: &str = "$pgmq_notify$";

impl FunctionDefinition {
    /// Every function that `sql` creates: text of our own templates, whose form is known.
    pub(crate) fn all(sql: &str) -> Vec<Self> {
        let mut found = Vec::new();
        for (start, _) in sql.match_indices(CREATE) {
            // The header shows how to replace functions; those are comments.
            let line = sql[..start].rfind('\n').map_or(0, |end| end + 1);
            if line != start {
                continue;
            }
            let rest = &sql[start + CREATE.len()..];
            let (Some((head, body)), Some(name)) = (
                rest.split_once(&format!("as {QUOTE}")),
                rest.split('(').next(),
            ) else {
                continue;
            };
            let source = body.split(QUOTE).next().unwrap_or_default();
            let setting = |line: &str| {
                let (name, value) = line.strip_prefix("set ")?.split_once(" = ")?;
                Some(format!("{name}={}", value.trim_matches('\'')))
            };
            found.push(Self {
                name: name.trim_matches('"').into(),
                source: source.into(),
                security_definer: head.lines().any(|line| line == "security definer"),
                settings: head.lines().filter_map(setting).collect(),
            });
        }
        found.sort();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_read_with_its_settings_and_comments_are_not() {
        let sql = "-- create or replace function pgmq_notify.shown() returns trigger\n\
                   create or replace function pgmq_notify.\"create\"(a text)\n\
                   returns void\nlanguage plpgsql\nsecurity definer\n\
                   set search_path = pg_catalog, pg_temp\nset lock_timeout = '750ms'\n\
                   as $pgmq_notify$\nbegin\nend\n$pgmq_notify$;\nselect 1;";
        assert_eq!(
            FunctionDefinition::all(sql),
            [FunctionDefinition {
                name: "create".into(),
                source: "\nbegin\nend\n".into(),
                security_definer: true,
                settings: vec![
                    "search_path=pg_catalog, pg_temp".into(),
                    "lock_timeout=750ms".into()
                ],
            }]
        );
    }
}
