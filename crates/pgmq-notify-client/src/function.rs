//! Which function of PGMQ came with which release: the one table behind "needs PGMQ x or newer".

use crate::version::PgmqVersion;

/// A schema that an operation calls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    Pgmq,
    PgmqNotify,
}

impl Schema {
    /// As it stands in SQL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pgmq => "pgmq",
            Self::PgmqNotify => "pgmq_notify",
        }
    }
}

/// One overload, as `oidvectortypes` spells its types.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) schema: Schema,
    pub(crate) signature: &'static str,
    /// The release of PGMQ that brought it.
    pub(crate) since: PgmqVersion,
}

const fn pgmq(signature: &'static str, minor: u32, patch: u32) -> Function {
    Function {
        schema: Schema::Pgmq,
        signature,
        since: PgmqVersion::new(1, minor, patch),
    }
}

const fn notify(signature: &'static str) -> Function {
    Function {
        schema: Schema::PgmqNotify,
        signature,
        since: PgmqVersion::new(1, 5, 0),
    }
}

pub(crate) const ARCHIVE: Function = pgmq("archive(text, bigint)", 5, 0);
pub(crate) const ARCHIVE_BATCH: Function = pgmq("archive(text, bigint[])", 5, 0);
pub(crate) const CONVERT_ARCHIVE_PARTITIONED: Function = pgmq(
    "convert_archive_partitioned(text, text, text, integer)",
    5,
    0,
);
pub(crate) const CREATE: Function = pgmq("create(text)", 5, 0);
pub(crate) const CREATE_PARTITIONED: Function = pgmq("create_partitioned(text, text, text)", 5, 0);
pub(crate) const CREATE_UNLOGGED: Function = pgmq("create_unlogged(text)", 5, 0);
pub(crate) const DELETE: Function = pgmq("delete(text, bigint)", 5, 0);
pub(crate) const DELETE_BATCH: Function = pgmq("delete(text, bigint[])", 5, 0);
pub(crate) const DROP_QUEUE: Function = pgmq("drop_queue(text)", 5, 0);
pub(crate) const FORMAT_TABLE_NAME: Function = pgmq("format_table_name(text, text)", 5, 0);
pub(crate) const LIST_QUEUES: Function = pgmq("list_queues()", 5, 0);
pub(crate) const METRICS: Function = pgmq("metrics(text)", 5, 0);
pub(crate) const METRICS_ALL: Function = pgmq("metrics_all()", 5, 0);
pub(crate) const PURGE_QUEUE: Function = pgmq("purge_queue(text)", 5, 0);
pub(crate) const READ: Function = pgmq("read(text, integer, integer, jsonb)", 5, 0);
pub(crate) const READ_WITH_POLL: Function = pgmq(
    "read_with_poll(text, integer, integer, integer, integer, jsonb)",
    5,
    0,
);
pub(crate) const SEND: Function = pgmq("send(text, jsonb, jsonb, timestamp with time zone)", 5, 0);
pub(crate) const SEND_BATCH: Function = pgmq(
    "send_batch(text, jsonb[], jsonb[], timestamp with time zone)",
    5,
    0,
);
pub(crate) const SET_VT: Function = pgmq("set_vt(text, bigint, integer)", 5, 0);

pub(crate) const POP: Function = pgmq("pop(text, integer)", 7, 0);
pub(crate) const ENABLE_NOTIFY_INSERT: Function = pgmq("enable_notify_insert(text, integer)", 8, 0);
pub(crate) const DISABLE_NOTIFY_INSERT: Function = pgmq("disable_notify_insert(text)", 7, 0);
pub(crate) const SET_VT_BATCH: Function = pgmq("set_vt(text, bigint[], integer)", 8, 0);

pub(crate) const CREATE_FIFO_INDEX: Function = pgmq("create_fifo_index(text)", 9, 0);
pub(crate) const CREATE_FIFO_INDEXES_ALL: Function = pgmq("create_fifo_indexes_all()", 9, 0);
pub(crate) const READ_GROUPED: Function = pgmq("read_grouped(text, integer, integer)", 9, 0);
pub(crate) const READ_GROUPED_WITH_POLL: Function = pgmq(
    "read_grouped_with_poll(text, integer, integer, integer, integer)",
    9,
    0,
);
pub(crate) const READ_GROUPED_RR: Function = pgmq("read_grouped_rr(text, integer, integer)", 9, 0);
pub(crate) const READ_GROUPED_RR_WITH_POLL: Function = pgmq(
    "read_grouped_rr_with_poll(text, integer, integer, integer, integer)",
    9,
    0,
);

pub(crate) const SET_VT_AT: Function =
    pgmq("set_vt(text, bigint, timestamp with time zone)", 10, 0);
pub(crate) const SET_VT_BATCH_AT: Function =
    pgmq("set_vt(text, bigint[], timestamp with time zone)", 10, 0);

pub(crate) const BIND_TOPIC: Function = pgmq("bind_topic(text, text)", 11, 0);
pub(crate) const LIST_NOTIFY_INSERT_THROTTLES: Function =
    pgmq("list_notify_insert_throttles()", 11, 0);
pub(crate) const LIST_TOPIC_BINDINGS: Function = pgmq("list_topic_bindings()", 11, 0);
pub(crate) const LIST_TOPIC_BINDINGS_OF: Function = pgmq("list_topic_bindings(text)", 11, 0);
pub(crate) const SEND_BATCH_TOPIC: Function = pgmq(
    "send_batch_topic(text, jsonb[], jsonb[], timestamp with time zone)",
    11,
    0,
);
pub(crate) const SEND_TOPIC: Function = pgmq("send_topic(text, jsonb, jsonb, integer)", 11, 0);
pub(crate) const TEST_ROUTING: Function = pgmq("test_routing(text)", 11, 0);
pub(crate) const UNBIND_TOPIC: Function = pgmq("unbind_topic(text, text)", 11, 0);
pub(crate) const UPDATE_NOTIFY_INSERT: Function =
    pgmq("update_notify_insert(text, integer)", 11, 0);
pub(crate) const VALIDATE_ROUTING_KEY: Function = pgmq("validate_routing_key(text)", 11, 0);
pub(crate) const VALIDATE_TOPIC_PATTERN: Function = pgmq("validate_topic_pattern(text)", 11, 0);

pub(crate) const READ_GROUPED_HEAD: Function =
    pgmq("read_grouped_head(text, integer, integer)", 11, 1);
pub(crate) const READ_GROUPED_HEAD_WITH_POLL: Function = pgmq(
    "read_grouped_head_with_poll(text, integer, integer, integer, integer)",
    12,
    0,
);
pub(crate) const CREATE_PARTITIONED_PREMAKE: Function =
    pgmq("create_partitioned(text, text, text, integer)", 13, 0);

pub(crate) const NOTIFY_CREATE: Function = notify("create(text)");
pub(crate) const NOTIFY_CREATE_PARTITIONED: Function =
    notify("create_partitioned(text, text, text, integer)");
pub(crate) const NOTIFY_CREATE_UNLOGGED: Function = notify("create_unlogged(text)");
pub(crate) const NOTIFY_DROP_QUEUE: Function = notify("drop_queue(text)");
pub(crate) const NOTIFY_SEND: Function =
    notify("send(text, jsonb, jsonb, timestamp with time zone)");
pub(crate) const NOTIFY_SEND_BATCH: Function =
    notify("send_batch(text, jsonb[], jsonb[], timestamp with time zone)");
pub(crate) const NOTIFY_SET_VT: Function = notify("set_vt(text, bigint, integer)");
pub(crate) const NOTIFY_SET_VT_AT: Function =
    notify("set_vt(text, bigint, timestamp with time zone)");
pub(crate) const NOTIFY_SET_VT_BATCH: Function = notify("set_vt(text, bigint[], integer)");
pub(crate) const NOTIFY_SET_VT_BATCH_AT: Function =
    notify("set_vt(text, bigint[], timestamp with time zone)");
pub(crate) const NOTIFY_SEND_TOPIC: Function = notify("send_topic(text, jsonb, jsonb, integer)");
pub(crate) const NOTIFY_SEND_BATCH_TOPIC: Function =
    notify("send_batch_topic(text, jsonb[], jsonb[], timestamp with time zone)");

/// What each release brought, oldest first: tells the version of a PGMQ that is no extension.
///
/// `read_grouped_head` is not among them: 1.11.0 has it when installed afresh, and lacks it after an
/// upgrade, which brings it with 1.11.1.
pub(crate) const MARKERS: [Function; 9] = [
    SEND,
    pgmq("acquire_queue_lock(text)", 6, 0),
    POP,
    SET_VT_BATCH,
    READ_GROUPED,
    SET_VT_AT,
    BIND_TOPIC,
    READ_GROUPED_HEAD_WITH_POLL,
    CREATE_PARTITIONED_PREMAKE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_rise_from_the_oldest_release_to_the_newest() {
        assert!(MARKERS.is_sorted_by(|older, newer| older.since < newer.since));
        assert_eq!(MARKERS[0].since, PgmqVersion::new(1, 5, 0));
        assert_eq!(MARKERS[8].since, PgmqVersion::new(1, 13, 0));
    }
}
