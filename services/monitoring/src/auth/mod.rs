//! Who may ask: credentials, sessions, and how often. Alike for both listeners.

mod config;
mod credentials;
mod failures;
mod guard;
mod login;

pub(crate) use config::AuthConfig;
pub(crate) use guard::{Guard, guard};
pub(crate) use login::{__path_login, login};
