/// What a role is for, and so which rights it needs: those of `docs/operations.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoleKind {
    /// Installs, creates queues: owns PGMQ's tables, or is a member of their owner.
    Owner,
    /// Sends.
    Producer,
    /// Listens, and looks into queues to catch up.
    Listener,
    /// Claims, settles and buries messages, and listens.
    Consumer,
}

impl RoleKind {
    /// `owner`, `producer`, `listener` or `consumer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Producer => "producer",
            Self::Listener => "listener",
            Self::Consumer => "consumer",
        }
    }
}
