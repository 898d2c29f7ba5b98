//! What arrives on a channel, which anybody can write to: it is an event or an error, and an event can be written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pgmq_notify_core::PgmqNotifyEvent;

fuzz_target!(|text: &str| {
    match PgmqNotifyEvent::from_json(text) {
        Ok(event) => {
            let written = event.to_json().expect("what was read can be written");
            let again = PgmqNotifyEvent::from_json(&written).expect("what was written can be read");
            // The times have lost what is below a microsecond; from then on nothing changes.
            assert_eq!(again.to_json().expect("it was written before"), written);
        }
        Err(error) => {
            // It may quote the text, escaped, and no more.
            assert!(error.to_string().len() <= 200 + 12 * text.len());
        }
    }
});
