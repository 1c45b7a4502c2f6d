//! Serves a capture as if it were the exchange: frames as recorded, paced as recorded or faster, REST books from
//! the capture's own bodies. No clock of its own for event times: they stay as recorded.

mod capture;
mod cryptofeed;
mod entries;
mod frame;
pub(crate) mod gate;
mod hbt;
mod run;
mod scan;

pub use capture::CaptureError;
pub(crate) use run::run;
pub(crate) use scan::Replay;
pub use scan::ReplayError;
