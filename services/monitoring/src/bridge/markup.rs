//! The two dialects in which chats read text, and how nothing that comes from outside becomes markup in either.

/// Characters of one value: descriptions are sentences, and a label's value can be anything.
const VALUE_CHARS_MAX: usize = 400;

/// What a robot's chat understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    /// `DingTalk`'s, and what most others understand.
    Markdown,
    /// Slack's: `*strong*`, `<url|name>`, no headings, and no backslash before what is meant literally.
    Mrkdwn,
}

impl Markup {
    /// A line of its own above everything.
    pub(super) fn title(self, text: &str) -> String {
        match self {
            Self::Markdown => format!("### {text}"),
            Self::Mrkdwn => self.strong(text),
        }
    }

    /// A line of its own above a part.
    pub(super) fn heading(self, text: &str) -> String {
        match self {
            Self::Markdown => format!("#### {text}"),
            Self::Mrkdwn => self.strong(text),
        }
    }

    pub(super) fn strong(self, text: &str) -> String {
        match self {
            Self::Markdown => format!("**{text}**"),
            Self::Mrkdwn => format!("*{text}*"),
        }
    }

    pub(super) fn link(self, name: &str, url: &str) -> String {
        let no_markup = |c: &char| !c.is_whitespace() && !matches!(c, '(' | ')' | '<' | '>' | '|');
        let url: String = url.chars().take(VALUE_CHARS_MAX).filter(no_markup).collect();
        match self {
            Self::Markdown => format!("[{name}]({url})"),
            Self::Mrkdwn => format!("<{url}|{name}>"),
        }
    }

    /// One line, of bounded length, in which nothing is markup: labels hold what exchanges send.
    pub(super) fn value(self, text: &str) -> String {
        let mut shown = String::new();
        for character in text.chars().take(VALUE_CHARS_MAX) {
            match (self, character) {
                (_, c) if c.is_control() => shown.push(' '),
                (Self::Markdown, '*' | '`' | '[' | ']' | '<' | '>' | '#' | '\\') => {
                    shown.extend(['\\', character]);
                }
                // An entry of a list, where it may begin a line.
                (Self::Markdown, '-' | '+') if shown.trim_start().is_empty() => {
                    shown.extend(['\\', character]);
                }
                (Self::Mrkdwn, '&') => shown.push_str("&amp;"),
                (Self::Mrkdwn, '<') => shown.push_str("&lt;"),
                (Self::Mrkdwn, '>') => shown.push_str("&gt;"),
                // There is no way to say that these are meant literally: a look-alike is.
                (Self::Mrkdwn, '*') => shown.push('∗'),
                (Self::Mrkdwn, '`') => shown.push('ˋ'),
                _ => shown.push(character),
            }
        }
        if text.chars().nth(VALUE_CHARS_MAX).is_some() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_no_markup() {
        let evil = "[x](http://evil)\n# *y* <!here>";
        assert_eq!(Markup::Markdown.value(evil), r"\[x\](http://evil) \# \*y\* \<!here\>");
        assert_eq!(Markup::Mrkdwn.value(evil), "[x](http://evil) # ∗y∗ &lt;!here&gt;");
        assert_eq!(Markup::Markdown.value("- one"), r"\- one");
        assert_eq!(
            Markup::Mrkdwn.link("runbook", "https://x.example/a|b>c"),
            "<https://x.example/abc|runbook>"
        );
    }
}
