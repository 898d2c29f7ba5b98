use std::fs;
use std::path::Path;

use pgmq_notify_core::{ConfigError, PgmqNotifyConfig};
use pgmq_notify_sql::{Migration, SettingDifference};

use super::header::{Header, Kind};
use super::{Directory, Format, MigrationName, Version};
use crate::failure::Failure;

/// The migrations of one name, from the first to the newest.
#[derive(Debug)]
pub(crate) struct Chain(Vec<Link>);

#[derive(Debug)]
struct Link {
    version: Version,
    /// The SQL that is applied, without what the format puts around it.
    sql: String,
    header: Option<Header>,
}

/// What migrations leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Nothing,
    /// Exactly what this version makes of a configuration.
    Known(Box<PgmqNotifyConfig>),
    /// Something that this version did not write, or not so: the SQL that makes it, in its order.
    Foreign(Vec<String>),
}

/// How much of the SQL a migration is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Only what differs from the migrations before it.
    Change,
    Whole,
}

impl Chain {
    pub(crate) fn read(
        path: &Path,
        format: Format,
        name: &MigrationName,
        directory: &Directory,
    ) -> Result<Self, Failure> {
        let link = |version: Version| {
            let path = path.join(format.applied(name, &version));
            let text = fs::read(&path).map_err(|error| {
                Failure::new(
                    format!("cannot read {}: {error}", path.display()),
                    "make it a readable file, or choose another --output-dir",
                )
            })?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
            let sql = format.applied_sql(&text).trim_end().to_owned();
            let header = Header::read(&sql);
            Ok(Link {
                version,
                sql,
                header,
            })
        };
        let versions = directory.versions(name).into_iter();
        versions.map(link).collect::<Result<_, _>>().map(Self)
    }

    /// The configuration that the migration of this version carries.
    pub(crate) fn configuration(&self, version: &Version) -> Option<&PgmqNotifyConfig> {
        let header = self.link(version)?.header.as_ref();
        header.map(|header| &header.config)
    }

    /// Whether this version, and those before it, are what this program writes for the configurations
    /// that they carry.
    pub(crate) fn is_own(&self, version: &Version) -> bool {
        let until = self.0.iter().filter(|link| link.version <= *version);
        matches!(state(until), State::Known(_))
    }

    /// The migration to `config` that belongs in this place. One that is there and says the same keeps its
    /// extent.
    pub(crate) fn migration(
        &self,
        version: &Version,
        config: &PgmqNotifyConfig,
        extent: Extent,
    ) -> Result<Migration, ConfigError> {
        let whole = |header: &Header| {
            header.kind == Kind::Whole
                && SettingDifference::between(&header.config, config).is_empty()
        };
        let is_whole = self
            .link(version)
            .and_then(|link| link.header.as_ref())
            .is_some_and(whole);
        match state(self.0.iter().filter(|link| link.version < *version)) {
            State::Nothing => Migration::new(config),
            State::Foreign(sql) => Migration::whole_after_sql(&sql, config),
            State::Known(before)
                if is_whole
                    || extent == Extent::Whole
                    || SettingDifference::between(&before, config).is_empty() =>
            {
                Migration::whole_after(&before, config)
            }
            State::Known(before) => Migration::change(&before, config),
        }
    }

    fn link(&self, version: &Version) -> Option<&Link> {
        self.0.iter().find(|link| link.version == *version)
    }
}

/// A header may lie, and a file may have been edited: what would be generated again counts.
fn state<'a>(links: impl Iterator<Item = &'a Link>) -> State {
    let mut state = State::Nothing;
    let mut since_whole: Vec<String> = Vec::new();
    for link in links {
        let header = link.header.as_ref();
        if header.is_none_or(|header| header.kind == Kind::Whole) {
            since_whole.clear();
        }
        since_whole.push(link.sql.clone());
        let again = header.and_then(|header| match (header.kind, &state) {
            (Kind::Whole, _) => Migration::new(&header.config).ok(),
            (Kind::Change, State::Known(before)) => Migration::change(before, &header.config).ok(),
            (Kind::Change, _) => None,
        });
        let own = again.is_some_and(|again| again.up().trim_end() == link.sql);
        state = match header {
            Some(header) if own => State::Known(Box::new(header.config.clone())),
            _ => State::Foreign(since_whole.clone()),
        };
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(sql: &[&str]) -> Chain {
        let link = |(number, sql): (usize, &&str)| Link {
            version: Version::number(number as u64 + 1, 1),
            sql: (*sql).into(),
            header: Header::read(sql),
        };
        Chain(sql.iter().enumerate().map(link).collect())
    }

    fn sizes() -> [PgmqNotifyConfig; 3] {
        [2000, 3000, 4000].map(|size| PgmqNotifyConfig::new().with_max_payload_size(size))
    }

    #[test]
    fn over_what_this_program_wrote_a_migration_is_a_change() {
        let [a, b, c] = sizes();
        let first = Migration::new(&a).unwrap();
        let second = Migration::change(&a, &b).unwrap();
        let chain = links(&[first.up(), second.up()]);
        let next = Version::number(3, 1);
        let migration = |extent| chain.migration(&next, &c, extent).unwrap();
        assert_eq!(
            migration(Extent::Change),
            Migration::change(&b, &c).unwrap()
        );
        assert_eq!(
            migration(Extent::Whole),
            Migration::whole_after(&b, &c).unwrap()
        );
        // In the place of the second one.
        let second_again = chain.migration(&Version::number(2, 1), &b, Extent::Change);
        assert_eq!(second_again.unwrap(), second);
    }

    #[test]
    fn over_what_was_edited_it_is_whole_and_goes_back_by_the_text() {
        let [a, b, c] = sizes();
        let first = Migration::new(&a).unwrap().up().to_owned();
        let second = Migration::change(&a, &b).unwrap().up().to_owned();
        let edited = format!("{second}\nselect 1;");
        let chain = links(&["select 0;", &first, &edited]);
        assert!(chain.is_own(&Version::number(2, 1)));
        assert!(!chain.is_own(&Version::number(3, 1)));
        let migration = chain
            .migration(&Version::number(4, 1), &c, Extent::Change)
            .unwrap();
        let expected = Migration::whole_after_sql(&[first, edited], &c).unwrap();
        assert_eq!(migration, expected);
    }

    #[test]
    fn a_whole_one_starts_anew_and_stays_whole() {
        let [a, b, c] = sizes();
        let whole = Migration::whole_after(&a, &b).unwrap();
        let chain = links(&["select 0;", whole.up()]);
        let next = chain
            .migration(&Version::number(3, 1), &c, Extent::Change)
            .unwrap();
        assert_eq!(next, Migration::change(&b, &c).unwrap());
        let first = Migration::new(&a).unwrap();
        let chain = links(&[first.up(), whole.up()]);
        let again = chain
            .migration(&Version::number(2, 1), &b, Extent::Change)
            .unwrap();
        assert_eq!(again, whole);
    }
}
