//! What a crate gives the crate `tracing`, written down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// One span or event.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) is_span: bool,
    pub(crate) level: Level,
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

/// Everything of one target and those under it, in its order, of the threads on which it is the default.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    target: &'static str,
    traced: Arc<Mutex<Vec<Traced>>>,
    /// Where the spans stand among these: the first one at the index of id 1.
    spans: Arc<Mutex<Vec<usize>>>,
}

impl Recorder {
    pub(crate) fn of(target: &'static str) -> Self {
        // While there is only one, `tracing` asks the thread that comes to a span or event first, and if that
        // is another test's, which has none, it is disabled for all threads.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::default()));
        Self {
            target,
            traced: Arc::default(),
            spans: Arc::default(),
        }
    }

    pub(crate) fn all(&self) -> Vec<Traced> {
        self.traced
            .lock()
            .expect("nobody panics holding it")
            .clone()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<Traced> {
        let mut all = self.all();
        all.retain(|it| it.name == name);
        all
    }

    /// Where it stands.
    fn note(&self, metadata: &Metadata<'_>, mut fields: Fields) -> usize {
        let is_span = metadata.is_span();
        let name = match fields.0.remove("message") {
            Some(message) if !is_span => message,
            _ => metadata.name().to_owned(),
        };
        let mut traced = self.traced.lock().expect("nobody panics holding it");
        traced.push(Traced {
            is_span,
            level: *metadata.level(),
            name,
            fields: fields.0,
        });
        traced.len() - 1
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(self.target)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let place = self.note(span.metadata(), fields);
        let mut spans = self.spans.lock().expect("nobody panics holding it");
        spans.push(place);
        Id::from_u64(spans.len() as u64)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.note(event.metadata(), fields);
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let id = usize::try_from(id.into_u64()).expect("few spans");
        let place = self.spans.lock().expect("nobody panics holding it")[id - 1];
        let mut traced = self.traced.lock().expect("nobody panics holding it");
        traced[place].fields.append(&mut fields.0);
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
