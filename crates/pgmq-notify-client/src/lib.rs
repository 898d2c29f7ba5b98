//! Part of pgmq-notify.
