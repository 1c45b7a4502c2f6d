//! The one way in which this workspace serves HTTP: limits of connections, of bytes and of time, and the guard against foreign web
//! pages, on every listener of every service.
//!
//! A listener is a [`Site`]: its name, its [`Limits`] and its [`PageGuard`]. What is served there is the caller's router. hyper speaks
//! the protocol; it knows nothing of idle connections, of slow bodies or of readers that stall, so [`socket`] and [`body`] time these.

mod body;
mod guard;
mod limits;
mod metrics;
mod places;
mod serve;
mod socket;
mod standing;

pub use guard::{Foreign, PageGuard, Visitors};
pub use limits::Limits;
pub use serve::Site;
