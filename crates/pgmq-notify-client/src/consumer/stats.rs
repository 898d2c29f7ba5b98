use std::time::Duration;

/// What a consumer has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Statements that looked for messages; as many as there were [wake-ups](Self::wake_ups).
    pub claims: u64,
    /// Those of them that found none.
    pub empty_claims: u64,
    /// Messages that were claimed.
    pub claimed: u64,
    /// Messages whose handler succeeded and that are acknowledged.
    pub done: u64,
    /// Failures after which a message is tried again.
    pub retried: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that were given back: by their handler, unstarted, or ended by the shutdown.
    pub released: u64,
    /// Bodies that did not decode; they are among the dead.
    pub undecodable: u64,
    /// Handlers that panicked; they are among the retried and the dead.
    pub panicked: u64,
    /// Claims that another process took over, or whose message was deleted meanwhile.
    pub lost: u64,
    /// Leases that could not be extended in time, whether or not somebody took the message.
    pub expired: u64,
    /// Messages that could not be settled because the server refused for good, and come back when their
    /// visibility timeout ends.
    pub unsettled: u64,
    /// How often it told the senders of queues with the delivery `wake_up` whether it sleeps, or asked who of
    /// them was on the way: one to three statements each.
    pub parking: u64,
    /// Messages that are claimed and not settled now.
    pub in_flight: u64,
    /// From a message's visibility to its handler's start: the sum over all that were started.
    pub waited: Duration,
    /// The longest of these.
    pub longest_wait: Duration,
    /// Why it looked for messages.
    pub wake_ups: WakeUps,
}

/// How often each reason made a consumer look for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WakeUps {
    /// A queue was new to it, or was resumed.
    pub start: u64,
    /// An event of the queue.
    pub event: u64,
    /// The time at which a delayed message or an expired claim becomes visible.
    pub due: u64,
    /// Events may have been missed, by a lost session or a full buffer.
    pub reconnected: u64,
    /// The claim before had brought as many as were asked for, or any with groups.
    pub full_batch: u64,
    /// Something was settled in a queue with groups, so that another group may be free, or in a drain.
    pub settled: u64,
    /// The claim before had failed.
    pub failed: u64,
    /// Senders leave it to this consumer to look, because it is at work (delivery `wake_up`).
    pub attending: u64,
    /// It is about to sleep, and somebody may have sent without seeing that (delivery `wake_up`).
    pub parking: u64,
    /// Nothing else for the time of the safety poll.
    pub safety_poll: u64,
}
