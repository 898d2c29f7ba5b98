use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgmq_notify_client::InstallProgress;

use crate::output::Output;

/// Between two lines that only say how far it is.
const SPOKEN_EVERY: Duration = Duration::from_secs(2);

/// How far an installation is: one line that moves on a terminal, and now and then a line elsewhere.
pub(crate) struct Progress<'a> {
    output: &'a Output,
    style: Style,
    busy: BTreeSet<String>,
}

enum Style {
    Quiet,
    Bar(ProgressBar),
    Lines { spoken: Instant },
}

impl<'a> Progress<'a> {
    pub(crate) fn new(output: &'a Output, quiet: bool) -> Self {
        let style = if quiet {
            Style::Quiet
        } else if std::io::stderr().is_terminal() && std::env::var("TERM").as_deref() != Ok("dumb")
        {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let template = ProgressStyle::with_template("{msg} {pos}/{len} {wide_bar} {elapsed}");
            bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Style::Bar(bar)
        } else {
            Style::Lines {
                spoken: Instant::now(),
            }
        };
        Self {
            output,
            style,
            busy: BTreeSet::new(),
        }
    }

    pub(crate) fn hear(&mut self, progress: InstallProgress) {
        match progress {
            InstallProgress::Waiting { holder } => {
                let who = holder.map_or_else(String::new, |pid| format!(" (backend {pid})"));
                self.note(&format!("waiting for another installation{who}"));
            }
            InstallProgress::Table { done, total, .. } => self.counted(done, total),
            InstallProgress::Busy { name, done, total } => {
                if self.busy.insert(name.clone()) {
                    self.note(&format!("{name} is busy, it is tried again"));
                }
                self.counted(done, total);
            }
            _ => {}
        }
    }

    pub(crate) fn end(self) {
        if let Style::Bar(bar) = self.style {
            bar.finish_and_clear();
        }
    }

    fn counted(&mut self, done: usize, total: usize) {
        match &mut self.style {
            Style::Bar(bar) => {
                bar.set_message("tables");
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            }
            Style::Lines { spoken } if spoken.elapsed() > SPOKEN_EVERY => {
                *spoken = Instant::now();
                self.output.note(&format!("{done} of {total} tables"));
            }
            Style::Quiet | Style::Lines { .. } => {}
        }
    }

    fn note(&self, line: &str) {
        match &self.style {
            Style::Quiet => {}
            Style::Bar(bar) => bar.suspend(|| self.output.note(line)),
            Style::Lines { .. } => self.output.note(line),
        }
    }
}
