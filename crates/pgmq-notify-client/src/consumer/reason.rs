/// Why a queue is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Start,
    Event,
    Due,
    Reconnected,
    FullBatch,
    Settled,
    Failed,
    Attending,
    Parking,
    SafetyPoll,
}

impl Reason {
    pub(crate) const ALL: [Self; 10] = [
        Self::Start,
        Self::Event,
        Self::Due,
        Self::Reconnected,
        Self::FullBatch,
        Self::Settled,
        Self::Failed,
        Self::Attending,
        Self::Parking,
        Self::SafetyPoll,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Event => "event",
            Self::Due => "due",
            Self::Reconnected => "reconnected",
            Self::FullBatch => "full_batch",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Attending => "attending",
            Self::Parking => "parking",
            Self::SafetyPoll => "safety_poll",
        }
    }

    /// Whether every other idle consumer of the queue has it too, at the same time.
    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::Event | Self::Due)
    }
}
