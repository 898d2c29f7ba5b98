//! What a person reads, and what a program does.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use pgmq_notify_client::{Diagnosis, Finding, Severity};
use serde::Serialize;

use super::remedy::InstallCommand;
use crate::output::{ERROR, HINT};
use crate::redacted::redacted;
use crate::text::printable;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = Style::new().bold();

pub(super) fn readable(diagnosis: &Diagnosis, install: &InstallCommand) -> String {
    let mut text = String::new();
    for (number, finding) in diagnosis.findings.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        add(&mut text, finding, install);
    }
    text
}

/// The remedy has its lines for itself, so that nothing has to be cut off to paste it.
fn add(text: &mut String, finding: &Finding, install: &InstallCommand) {
    let style = match finding.severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
        _ => NOTE,
    };
    let (severity, code) = (finding.severity, finding.code);
    let subject = printable(&finding.subject);
    let explanation = redacted(&finding.explanation);
    let _ = writeln!(text, "{style}{severity}{style:#} {code}: {subject}");
    let _ = writeln!(text, "  {}", printable(&explanation));
    let (kind, remedy) = install.remedy(finding);
    let _ = writeln!(text, "  {HINT}{kind}:{HINT:#}");
    for line in remedy.lines() {
        let _ = writeln!(text, "    {}", printable(line));
    }
}

pub(super) fn count(diagnosis: &Diagnosis, severity: Severity) -> usize {
    let findings = diagnosis.findings.iter();
    findings.filter(|it| it.severity == severity).count()
}

#[derive(Serialize)]
pub(super) struct Report<'a> {
    healthy: bool,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<FindingReport<'a>>,
}

#[derive(Serialize)]
struct FindingReport<'a> {
    severity: &'static str,
    code: &'static str,
    subject: &'a str,
    explanation: String,
    remedy: RemedyReport,
}

#[derive(Serialize)]
struct RemedyReport {
    kind: &'static str,
    text: String,
}

impl<'a> Report<'a> {
    pub(super) fn new(diagnosis: &'a Diagnosis, install: &InstallCommand) -> Self {
        let finding = |finding: &'a Finding| {
            let (kind, text) = install.remedy(finding);
            FindingReport {
                severity: finding.severity.as_str(),
                code: finding.code.as_str(),
                subject: &finding.subject,
                explanation: redacted(&finding.explanation).into_owned(),
                remedy: RemedyReport { kind, text },
            }
        };
        Self {
            healthy: diagnosis.is_healthy(),
            errors: count(diagnosis, Severity::Error),
            warnings: count(diagnosis, Severity::Warning),
            notes: count(diagnosis, Severity::Note),
            findings: diagnosis.findings.iter().map(finding).collect(),
        }
    }
}
