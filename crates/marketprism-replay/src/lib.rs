//! Recorded traffic through the exchanges' state machines, without any network: the same messages come out that the
//! collector would have published. The clock is the recording's.
//!
//! [`input`](Lane) reads files as one sequence of records; a [`Player`](player) per recorded connection drives a session with
//! them; what it emits goes to [`Messages`], and everything else is counted in the [`Summary`].

mod answers;
mod captured;
mod catalogue;
mod error;
mod input;
mod options;
mod output;
mod player;
mod recorded;
mod run;
mod summary;

pub use error::ReplayError;
pub use input::Lane;
pub use options::{BooksAt, Format, ReplayOptions};
pub use output::{JsonLines, Messages};
pub use run::run;
pub use summary::Summary;
