/// The keys of the file, in the order of its documentation.
pub(super) const ROOT: [&str; 9] = [
    "queue_naming_pattern",
    "channels_prefix",
    "triggers_enabled",
    "default_namespaces",
    "max_payload_size",
    "global_channel",
    "payload",
    "delivery",
    "namespaces",
];

/// The keys of a table `[namespaces.<name>]`.
pub(super) const NAMESPACE: [&str; 2] = ["payload", "delivery"];

/// Says that `key` is unknown, with the known key that it resembles most, or all of them.
pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((_, nearest)) => format!("unknown key, did you mean {nearest:?}?"),
        None => format!("unknown key, known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_its_nearest_known_one() {
        let cases = [
            ("channel_prefix", "channels_prefix"),
            ("queue_pattern", "queue_naming_pattern"),
            ("triggers", "triggers_enabled"),
            ("max_payload", "max_payload_size"),
            ("namespace", "namespaces"),
            ("paylod", "payload"),
            ("deliver", "delivery"),
            ("default_namespace", "default_namespaces"),
            ("Global_Channel", "global_channel"),
        ];
        for (key, nearest) in cases {
            let message = unknown(&key.to_lowercase(), &ROOT);
            assert!(
                message.ends_with(&format!("did you mean {nearest:?}?")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_key_unlike_any_other_is_told_them_all() {
        let message = unknown("database_url", &ROOT);
        assert!(
            message.contains("known: queue_naming_pattern, channels_prefix"),
            "{message}"
        );
    }
}
