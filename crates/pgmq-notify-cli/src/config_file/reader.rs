use std::mem;
use std::ops::Range;

use pgmq_notify_core::{ConfigProblem, Delivery, Namespace, PgmqNotifyConfig, Setting};
use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::{FileProblem, Position, keys};

/// Where a value stands, so that a problem with it can be located.
#[derive(Debug)]
pub(super) struct Place {
    setting: Setting,
    /// The message of a namespace that is none: it tells the values of one setting apart.
    message: Option<String>,
    position: Position,
}

impl Place {
    pub(super) fn has(&self, problem: &ConfigProblem) -> bool {
        let message = self.message.as_deref();
        self.setting == problem.setting()
            && message.is_none_or(|message| message == problem.message())
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }
}

/// Walks through the document, collecting settings and everything it does not understand.
pub(super) struct Reader<'t> {
    text: &'t str,
    config: PgmqNotifyConfig,
    places: Vec<Place>,
    problems: Vec<FileProblem>,
}

type Key<'k, 't> = &'k Spanned<DeString<'t>>;
type Value<'k, 't> = &'k Spanned<DeValue<'t>>;

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            config: PgmqNotifyConfig::new(),
            places: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(super) fn read(&mut self) {
        // The recovering parser reports every syntax error, and the other keys are still checked.
        let (document, errors) = DeTable::parse_recoverable(self.text);
        self.root(document.get_ref());
        let broken: Vec<_> = errors
            .iter()
            .map(|error| {
                let start = error.span().map_or(self.text.len(), |span| span.start);
                FileProblem::of_syntax(Position::of(self.text, start), error.message())
            })
            .collect();
        // What the parser made up to recover is not worth a second report.
        self.problems.retain(|problem| {
            let line = problem.position().line;
            !broken.iter().any(|error| error.breaks(line))
        });
        self.problems.extend(broken);
        self.problems.sort_by_key(FileProblem::position);
        self.problems.dedup_by_key(|problem| problem.position());
    }

    pub(super) fn finish(self) -> (PgmqNotifyConfig, Vec<Place>, Vec<FileProblem>) {
        (self.config, self.places, self.problems)
    }

    fn root(&mut self, table: &DeTable<'t>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "queue_naming_pattern" => {
                    if let Some(pattern) = self.string(name, value) {
                        self.place(Setting::QueueNamingPattern, value.span());
                        self.set(|config| config.with_queue_naming_pattern(pattern));
                    }
                }
                "channels_prefix" => {
                    if let Some(prefix) = self.string(name, value) {
                        self.place(Setting::ChannelsPrefix, value.span());
                        self.set(|config| config.with_channels_prefix(prefix));
                    }
                }
                "triggers_enabled" => {
                    if let Some(enabled) = self.boolean(name, value) {
                        self.set(|config| config.with_triggers_enabled(enabled));
                    }
                }
                "default_namespaces" => self.default_namespaces(name, value),
                "max_payload_size" => {
                    if let Some(bytes) = self.size(name, value) {
                        self.place(Setting::MaxPayloadSize, value.span());
                        self.set(|config| config.with_max_payload_size(bytes));
                    }
                }
                "global_channel" => {
                    if let Some(enabled) = self.boolean(name, value) {
                        self.set(|config| config.with_global_channel(enabled));
                    }
                }
                "payload" => {
                    if let Some(enabled) = self.boolean(name, value) {
                        self.set(|config| config.with_payload(enabled));
                    }
                }
                "delivery" => {
                    if let Some(delivery) = self.delivery(name, value) {
                        self.set(|config| config.with_delivery(delivery));
                    }
                }
                "namespaces" => self.namespaces(name, value),
                _ => self.unknown(key, name, &keys::ROOT),
            }
        }
    }

    fn default_namespaces(&mut self, name: &str, value: Value<'_, 't>) {
        let DeValue::Array(elements) = value.get_ref() else {
            return self.wrong_type(name, value, "an array of strings");
        };
        for element in elements {
            if let Some(namespace) = self.string(name, element) {
                self.namespace_place(Setting::DefaultNamespaces, &namespace, element.span());
                self.set(|config| config.with_default_namespace(namespace));
            }
        }
    }

    fn namespaces(&mut self, name: &str, value: Value<'_, 't>) {
        let DeValue::Table(namespaces) = value.get_ref() else {
            return self.wrong_type(name, value, "tables such as [namespaces.orders]");
        };
        for (namespace, value) in namespaces {
            let path = format!("{name}.{}", namespace.get_ref());
            let DeValue::Table(settings) = value.get_ref() else {
                self.wrong_type(&path, value, "a table");
                continue;
            };
            self.namespace_place(Setting::Namespaces, namespace.get_ref(), namespace.span());
            for (key, value) in settings {
                let path = format!("{path}.{}", key.get_ref());
                self.of_namespace(namespace.get_ref(), key, &path, value);
            }
        }
    }

    fn of_namespace(
        &mut self,
        namespace: &str,
        key: Key<'_, 't>,
        path: &str,
        value: Value<'_, 't>,
    ) {
        match key.get_ref().as_ref() {
            "payload" => {
                if let Some(enabled) = self.boolean(path, value) {
                    self.set(|config| config.with_namespace_payload(namespace, enabled));
                }
            }
            "delivery" => {
                if let Some(delivery) = self.delivery(path, value) {
                    self.set(|config| config.with_namespace_delivery(namespace, delivery));
                }
            }
            _ => self.unknown(key, path, &keys::NAMESPACE),
        }
    }

    fn string(&mut self, name: &str, value: Value<'_, 't>) -> Option<String> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        self.wrong_type(name, value, "a string");
        None
    }

    fn boolean(&mut self, name: &str, value: Value<'_, 't>) -> Option<bool> {
        if let DeValue::Boolean(enabled) = value.get_ref() {
            return Some(*enabled);
        }
        self.wrong_type(name, value, "a boolean");
        None
    }

    fn delivery(&mut self, name: &str, value: Value<'_, 't>) -> Option<Delivery> {
        match self.string(name, value)?.parse::<Delivery>() {
            Ok(delivery) => Some(delivery),
            Err(error) => {
                self.problem(value.span(), name, error.to_string());
                None
            }
        }
    }

    fn size(&mut self, name: &str, value: Value<'_, 't>) -> Option<usize> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(name, value, "an integer");
            return None;
        };
        let size = to_usize(integer);
        if size.is_none() {
            // The configuration cannot hold this number, so its own check cannot refuse it.
            let (least, most) = (
                PgmqNotifyConfig::MIN_PAYLOAD_SIZE,
                PgmqNotifyConfig::MAX_PAYLOAD_SIZE,
            );
            let message = format!("{integer} is out of range, use {least} to {most} bytes");
            self.problem(value.span(), name, message);
        }
        size
    }

    fn wrong_type(&mut self, name: &str, value: Value<'_, 't>, expected: &str) {
        let message = format!("expected {expected}, found {}", type_of(value.get_ref()));
        self.problem(value.span(), name, message);
    }

    fn unknown(&mut self, key: Key<'_, 't>, path: &str, known: &[&str]) {
        self.problem(key.span(), path, keys::unknown(key.get_ref(), known));
    }

    fn problem(&mut self, span: Range<usize>, name: &str, message: String) {
        let position = Position::of(self.text, span.start);
        self.problems
            .push(FileProblem::of_key(position, name, message));
    }

    fn place(&mut self, setting: Setting, span: Range<usize>) {
        self.places.push(Place {
            setting,
            message: None,
            position: Position::of(self.text, span.start),
        });
    }

    fn namespace_place(&mut self, setting: Setting, namespace: &str, span: Range<usize>) {
        if let Err(error) = Namespace::new(namespace) {
            self.places.push(Place {
                setting,
                message: Some(error.to_string()),
                position: Position::of(self.text, span.start),
            });
        }
    }

    fn set(&mut self, change: impl FnOnce(PgmqNotifyConfig) -> PgmqNotifyConfig) {
        self.config = change(mem::take(&mut self.config));
    }
}

fn to_usize(integer: &DeInteger<'_>) -> Option<usize> {
    usize::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
