use pgmq_notify_core::PgmqNotifyConfig;

use crate::config_file::ConfigFile;

/// What an up migration says of itself, in its lines that begin with `--@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) config: PgmqNotifyConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It needs nothing before it.
    Whole,
    /// It changes what the migrations before it have installed.
    Change,
}

impl Header {
    /// `None` where there is none, or one that a newer version wrote and this one does not understand.
    pub(crate) fn read(sql: &str) -> Option<Self> {
        let mut kind = None;
        let mut settings = String::new();
        for line in sql.lines().filter_map(|line| line.strip_prefix("--@ ")) {
            match line.split_once(" = ") {
                Some(("version", _)) => {}
                Some(("kind", "\"whole\"")) => kind = Some(Kind::Whole),
                Some(("kind", "\"change\"")) => kind = Some(Kind::Change),
                _ => {
                    settings.push_str(line);
                    settings.push('\n');
                }
            }
        }
        let file = ConfigFile::parse(&settings);
        let config = file.validate().is_empty().then(|| file.config().clone())?;
        kind.map(|kind| Self { kind, config })
    }
}

#[cfg(test)]
mod tests {
    use pgmq_notify_core::Delivery;
    use pgmq_notify_sql::Migration;

    use super::*;

    #[test]
    fn a_migration_is_read_back_as_the_configuration_that_made_it() {
        let config = PgmqNotifyConfig::new()
            .with_queue_naming_pattern(r"(?P<namespace>[a-z]+)(?:'; drop schema pgmq; -- |\$|\n)")
            .with_channels_prefix("it's \"\\ $pgmq_notify$ 🐘")
            .with_max_payload_size(4000)
            .with_global_channel(false)
            .with_payload(false)
            .with_triggers_enabled(false)
            .with_delivery(Delivery::WakeUp)
            .with_namespace_payload("a\n\u{2028}b", true)
            .with_namespace_delivery("a.b = 1", Delivery::Every);
        let whole = Migration::new(&config).unwrap();
        let header = Header::read(whole.up()).unwrap();
        assert_eq!((header.kind, &header.config), (Kind::Whole, &config));

        let change = Migration::change(&PgmqNotifyConfig::new(), &config).unwrap();
        let header = Header::read(change.up()).unwrap();
        assert_eq!((header.kind, header.config), (Kind::Change, config));
    }

    #[test]
    fn what_is_not_understood_is_no_header() {
        let whole = Migration::new(&PgmqNotifyConfig::new()).unwrap();
        assert_eq!(Header::read("select 1;"), None);
        let newer = whole.up().replace(
            "--@ kind = \"whole\"",
            "--@ kind = \"whole\"\n--@ colour = 1",
        );
        assert_eq!(Header::read(&newer), None);
        let other = whole.up().replace("\"whole\"", "\"half\"");
        assert_eq!(Header::read(&other), None);
    }
}
