//! The named parts of a rendered migration: what stays the same between two configurations, and what does not.

/// How a template begins a part. No value can put it at the beginning of a line, because none
/// contains a line break.
const MARK: &str = "--# ";

/// A rendered migration, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sections {
    /// The comment that it begins with.
    pub(crate) head: String,
    parts: Vec<Section>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    name: String,
    sql: String,
}

impl Sections {
    pub(crate) fn parse(rendered: &str) -> Self {
        let mut head = String::new();
        let mut parts: Vec<Section> = Vec::new();
        for line in rendered.lines() {
            if let Some(name) = line.strip_prefix(MARK) {
                parts.push(Section {
                    name: name.into(),
                    sql: String::new(),
                });
                continue;
            }
            let text = parts.last_mut().map_or(&mut head, |part| &mut part.sql);
            text.push_str(line);
            text.push('\n');
        }
        for part in &mut parts {
            part.sql = part.sql.trim().into();
        }
        Self {
            head: head.trim().into(),
            parts,
        }
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        joined(std::iter::once(&*self.head).chain(self.parts.iter().map(|part| &*part.sql)))
    }

    /// The parts for which `wanted` says yes to the name, in their order.
    pub(crate) fn only(&self, wanted: impl Fn(&str) -> bool) -> String {
        joined(self.named(wanted))
    }

    /// Those parts that `earlier` lacks or has otherwise, and those that `always` names.
    pub(crate) fn beyond(&self, earlier: &Self, always: &[&str]) -> String {
        let differs =
            |part: &&Section| always.contains(&&*part.name) || !earlier.parts.contains(part);
        joined(self.parts.iter().filter(differs).map(|part| &*part.sql))
    }

    fn named(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .filter(move |part| wanted(&part.name))
            .map(|part| &*part.sql)
    }
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(rendered: &str) -> Sections {
        Sections::parse(rendered)
    }

    #[test]
    fn the_marks_are_no_part_of_the_text() {
        let all = sections("-- head\n\n--# a\nselect 1;\n\n--# b\n\nselect 2;\n");
        assert_eq!(all.text(), "-- head\n\nselect 1;\n\nselect 2;");
        assert_eq!(all.only(|name| name == "b"), "select 2;");
    }

    #[test]
    fn a_change_holds_what_is_new_what_differs_and_what_always_runs() {
        let earlier = sections("--# a\nselect 1;\n--# b\nselect 2;\n--# d\nselect 4;");
        let later =
            sections("--# a\nselect 1;\n--# b\nselect 3;\n--# c\nselect 5;\n--# d\nselect 4;");
        assert_eq!(later.beyond(&earlier, &[]), "select 3;\n\nselect 5;");
        assert_eq!(later.beyond(&later, &["d"]), "select 4;");
    }
}
