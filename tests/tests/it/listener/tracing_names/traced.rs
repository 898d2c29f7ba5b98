//! What the listener gives the crate `tracing`, written down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// One span or event.
#[derive(Clone, Debug)]
pub(super) struct Traced {
    pub(super) is_span: bool,
    pub(super) level: Level,
    pub(super) name: String,
    pub(super) fields: BTreeMap<&'static str, String>,
}

/// Everything of the listener, in its order, of the threads on which it is the default.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    traced: Arc<Mutex<Vec<Traced>>>,
    spans: Arc<AtomicU64>,
}

impl Recorder {
    pub(super) fn all(&self) -> Vec<Traced> {
        self.traced
            .lock()
            .expect("nobody panics holding it")
            .clone()
    }

    pub(super) fn named(&self, name: &str) -> Vec<Traced> {
        let mut all = self.all();
        all.retain(|it| it.name == name);
        all
    }

    fn note(&self, metadata: &Metadata<'_>, mut fields: Fields) {
        let is_span = metadata.is_span();
        let name = match fields.0.remove("message") {
            Some(message) if !is_span => message,
            _ => metadata.name().to_owned(),
        };
        let traced = Traced {
            is_span,
            level: *metadata.level(),
            name,
            fields: fields.0,
        };
        self.traced
            .lock()
            .expect("nobody panics holding it")
            .push(traced);
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("pgmq_notify_listener")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.note(span.metadata(), fields);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.note(event.metadata(), fields);
    }

    /// The listener gives every field when it makes the span.
    fn record(&self, _: &Id, values: &Record<'_>) {
        panic!("recorded later: {values:?}");
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
