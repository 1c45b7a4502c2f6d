//! Which messages are wrong, by name: the first of them, so that a broken run does not print millions.

/// Findings kept; the accounts count all of them.
const FINDINGS_MAX: usize = 50;

/// What is wrong, for people.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<String>,
}

impl Findings {
    pub(super) fn add(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(text());
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.kept
    }
}
