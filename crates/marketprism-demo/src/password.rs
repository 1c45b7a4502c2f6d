//! The password of the demo's two embedded engines: a new one each run. Who may log in with it is the engines' business.

use std::fmt;

/// Bytes of randomness: 128 bits cannot be guessed, and 32 characters fit a line.
const BYTES: usize = 16;
/// The one user of the embedded engine.
pub(crate) const USER: &str = "default";

/// A password of hexadecimal digits, which need no quotes in a shell, a URL or a configuration file. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A new one, of the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system has none.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = [0_u8; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_password_is_new_and_is_not_printed() {
        let [one, other] = [Password::generate().unwrap(), Password::generate().unwrap()];
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), 2 * BYTES);
        assert!(one.reveal().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(format!("{one:?}"), "[redacted]");
    }
}
