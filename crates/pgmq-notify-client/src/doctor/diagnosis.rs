use std::fmt;

use pgmq_notify_core::PgmqNotifyConfig;

use super::{FindingCode, Severity};

/// What [`doctor`](crate::PgmqNotifyClient::doctor) found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The worst first, and then in the order of the checks.
    pub findings: Vec<Finding>,
    /// The configuration that the database was compared with, and that [`Remedy::Install`] installs.
    pub config: PgmqNotifyConfig,
}

impl Diagnosis {
    /// Whether there is nothing worse than notes.
    pub fn is_healthy(&self) -> bool {
        self.worst() <= Some(Severity::Note)
    }

    /// The severity of the worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|it| it.severity).max()
    }

    /// The findings of this code.
    pub fn of(&self, code: FindingCode) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |it| it.code == code)
    }
}

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing it is.
    pub code: FindingCode,
    /// What has it: a queue, a table, a setting, a role. Many of a kind are one finding, whose subject names some.
    pub subject: String,
    /// What that means, in one or two sentences.
    pub explanation: String,
    /// What to do about it.
    pub remedy: Remedy,
}

/// What to do about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Statements for `psql`, as the owner of what they name, or a superuser.
    Sql(String),
    /// A command for a shell.
    Shell(String),
    /// [`install`](crate::PgmqNotifyClient::install) with [`Diagnosis::config`], or `pgmq-notify install`.
    Install,
    /// Words: it depends on what cannot be known here.
    Advice(String),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(text) | Self::Shell(text) | Self::Advice(text) => f.write_str(text),
            Self::Install => f.write_str("pgmq-notify install"),
        }
    }
}

/// `error trigger-missing, pgmq.q_orders: …; pgmq-notify install`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            code,
            subject,
            explanation,
            remedy,
        } = self;
        write!(f, "{severity} {code}, {subject}: {explanation}; {remedy}")
    }
}
