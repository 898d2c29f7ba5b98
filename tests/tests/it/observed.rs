//! What a crate tells those who watch it, held against what its documentation says.

mod documented;
mod recorded;
mod traced;

pub(crate) use documented::{Documented, check, check_text, documented, levels, values};
pub(crate) use recorded::Recorded;
pub(crate) use traced::{Recorder, Traced};
