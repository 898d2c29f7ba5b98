use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error while a batch is sent, if that is a terminal.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of `messages`, where their number is known.
    pub(super) fn new(messages: Option<u64>) -> Self {
        let template = match messages {
            Some(_) => "{wide_bar} {pos}/{len} messages, {per_sec}, {eta} left",
            None => "{pos} messages, {per_sec}",
        };
        // One that is none of a terminal hides by itself.
        let target = if std::env::var("TERM").as_deref() == Ok("dumb") {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(messages, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn set(&self, messages: u64) {
        self.0.set_position(messages);
    }

    /// Before words come.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
