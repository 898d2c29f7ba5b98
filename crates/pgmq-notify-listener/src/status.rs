use crate::ListenerErrorKind;

/// Whether a listener hears anything, from [`PgmqNotifyListener::status`].
///
/// [`PgmqNotifyListener::status`]: crate::PgmqNotifyListener::status
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenerStatus {
    /// Not connected: before `connect`, after `disconnect`, or dropped.
    Disconnected,
    /// `connect` is at work.
    Connecting,
    /// A session listens on every channel.
    Connected,
    /// The session was lost, and nothing is heard until there is another.
    Reconnecting {
        /// The attempt that is waited for or made, counted from 1.
        attempt: u32,
        /// What ended the session, or the attempt before this one.
        reason: ListenerErrorKind,
    },
}
