//! The terminal: keys in, frames out, and as it was afterwards.

use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::watch;

use super::draw::draw;
use super::gather::{Update, Wish};
use super::state::{Flow, State};
use crate::failure::Failure;

/// A key is answered at once; numbers that came are shown this soon.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// Until somebody quits.
pub(super) fn show(
    mut state: State,
    updates: &Receiver<Update>,
    wishes: &watch::Sender<Wish>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            format!("cannot draw on the terminal: {error}"),
            "`pgmq-notify top --once` prints the numbers as text",
        )
    };
    // It restores the terminal too if there is a panic.
    let restored = Restored;
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let shown = (|| {
        let mut is_new = true;
        loop {
            loop {
                match updates.try_recv() {
                    Ok(Update::Interrupted) | Err(TryRecvError::Disconnected) => return Ok(()),
                    Ok(update) => {
                        take(update, &mut state);
                        is_new = true;
                    }
                    Err(TryRecvError::Empty) => break,
                }
            }
            if is_new {
                terminal.draw(|frame| draw(&mut state, frame.area(), frame.buffer_mut()))?;
                is_new = false;
            }
            if !event::poll(LOOKED_AT_EVERY)? {
                continue;
            }
            is_new = true;
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                if state.press(key) == Flow::Quit {
                    return Ok(());
                }
                let wish = if state.is_paused {
                    Wish::Pause
                } else {
                    Wish::Run
                };
                wishes.send_if_modified(|now| std::mem::replace(now, wish) != wish);
            }
        }
    })();
    drop(terminal);
    drop(restored);
    shown.map_err(failed)
}

/// What came changes what is shown.
pub(super) fn take(update: Update, state: &mut State) {
    match update {
        Update::Look(look, heard) => state.see(*look, &heard),
        Update::Problem(problem) => state.problem = Some(problem),
        Update::Hearing(hearing) => state.hearing = hearing,
        Update::Interrupted => {}
    }
}

/// Gives the terminal back, however it ends.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
