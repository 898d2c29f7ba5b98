//! What a recorder of the crate `metrics` gets, written down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// The sum and the count of what was recorded, by the name and its labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    values: Arc<Mutex<BTreeMap<String, (f64, u64)>>>,
    units: Arc<Mutex<BTreeMap<String, Option<Unit>>>>,
}

struct Value {
    recorded: Recorded,
    name: String,
}

impl Recorded {
    fn register(&self, key: &Key) -> Arc<Value> {
        let labels = key.labels();
        let labels: Vec<_> = labels
            .map(|it| format!("{}={}", it.key(), it.value()))
            .collect();
        let name = match labels.join(",") {
            none if none.is_empty() => key.name().to_owned(),
            labels => format!("{}{{{labels}}}", key.name()),
        };
        let mut values = self.values.lock().expect("nobody panics holding it");
        values.entry(name.clone()).or_default();
        let recorded = self.clone();
        Arc::new(Value { recorded, name })
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>) {
        let mut units = self.units.lock().expect("nobody panics holding it");
        units.insert(name.as_str().to_owned(), unit);
    }

    /// Of those of this prefix, which is left out, that are not 0.
    pub(crate) fn sums(&self, prefix: &str) -> BTreeMap<String, f64> {
        let values = self.values.lock().expect("nobody panics holding it");
        let recorded = values.iter().filter(|(_, (sum, _))| *sum != 0.0);
        recorded
            .filter_map(|(name, (sum, _))| Some((name.strip_prefix(prefix)?.to_owned(), *sum)))
            .collect()
    }

    /// The sum and the count.
    pub(crate) fn of(&self, name: &str) -> (f64, u64) {
        self.values.lock().expect("nobody panics holding it")[name]
    }

    pub(crate) fn unit(&self, name: &str) -> Option<Unit> {
        self.units.lock().expect("nobody panics holding it")[name]
    }

    /// Each name is described, and stands in the documentation; each that stands there is recorded.
    #[track_caller]
    pub(crate) fn check(&self, prefix: &str, documentation: &str) {
        let units = self.units.lock().expect("nobody panics holding it");
        let values = self.values.lock().expect("nobody panics holding it");
        let of_prefix = |name: &&String| name.starts_with(prefix);
        for name in units.keys().filter(of_prefix) {
            assert!(documentation.contains(&format!("`{name}`")), "{name}");
        }
        for name in values.keys().filter(of_prefix) {
            let name = name.split('{').next().expect("the first part");
            assert!(units.contains_key(name), "{name} is not described");
        }
        let documented = documentation.split('`').filter(|it| {
            it.starts_with(prefix) && it.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        for name in documented {
            assert!(units.contains_key(name), "{name} is not recorded");
        }
    }
}

impl Value {
    fn add(&self, value: f64) {
        let mut values = self
            .recorded
            .values
            .lock()
            .expect("nobody panics holding it");
        let recorded = values.entry(self.name.clone()).or_default();
        recorded.0 += value;
        recorded.1 += 1;
    }
}

impl CounterFn for Value {
    fn increment(&self, value: u64) {
        self.add(f64::from(u32::try_from(value).expect("a small number")));
    }

    fn absolute(&self, _: u64) {
        panic!("a counter is shared");
    }
}

impl GaugeFn for Value {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, _: f64) {
        panic!("a gauge is shared");
    }
}

impl HistogramFn for Value {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key))
    }
}
