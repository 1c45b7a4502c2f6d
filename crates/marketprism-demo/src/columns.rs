//! Texts that keep to a number of terminal columns: cut, or continued on the next line. What they say is not its business.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` of a text; where something is missing, `…` is its last character.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = beginning(text, columns.saturating_sub(1)).to_owned();
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// A text in lines of at most `columns`, broken between words; every line but the first begins with `indent` spaces. Control
/// characters, which could move the cursor, become spaces.
pub(crate) fn wrap(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let start = text.len() - text.trim_start().len();
    // A margin is no use where it takes the room of the text.
    let margin = " ".repeat(if indent * 2 > columns { 0 } else { indent });
    let mut lines = Vec::new();
    let mut line = text.get(..start).unwrap_or_default().to_owned();
    let mut is_empty = true;
    for word in text.trim().split(' ').flat_map(|word| pieces(word, columns - margin.len())) {
        if width(&line) + usize::from(!is_empty) + width(word) > columns {
            let full = std::mem::replace(&mut line, margin.clone());
            lines.extend((!is_empty).then(|| full.trim_end().to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// A word, in pieces where it is wider than a line.
fn pieces(mut word: &str, columns: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while width(word) > columns {
        let end = beginning(word, columns).len().max(word.chars().next().map_or(0, char::len_utf8));
        let (piece, rest) = word.split_at(end);
        pieces.push(piece);
        word = rest;
    }
    pieces.push(word);
    pieces
}

/// Parts in lines of at most `columns`, ` · ` between the parts of a line; no part is broken.
pub(crate) fn join(parts: &[String], columns: usize) -> Vec<String> {
    const BETWEEN: &str = " · ";
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line) + width(BETWEEN) + width(part) <= columns => {
                line.push_str(BETWEEN);
                line.push_str(part);
            }
            _ => lines.push(clip(part, columns)),
        }
    }
    lines
}

/// As much of a text as `columns` hold.
fn beginning(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find_map(|(at, char)| {
        taken += char.width().unwrap_or(0);
        (taken > columns).then_some(at)
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        assert_eq!(clip("trade", 5), "trade");
        assert_eq!(clip("trades", 5), "trad…");
        // A Chinese character takes two columns.
        assert_eq!(clip("币安人生", 6), "币安…");
        assert_eq!(clip("x", 0), "");
    }

    #[test]
    fn lines_break_between_words_and_keep_their_margins() {
        assert_eq!(
            wrap("   16 s  no console: port 8082 is taken", 25, 9),
            ["   16 s  no console: port", "         8082 is taken"]
        );
        assert_eq!(wrap("one\u{1b}[2Jtwo\nthree", 80, 2), ["one [2Jtwo three"]);
        assert_eq!(wrap("", 80, 2), [""]);
    }

    #[test]
    fn a_word_wider_than_a_line_is_broken_and_nothing_is_lost() {
        for columns in 1..30 {
            let text = "a http://127.0.0.1:8123/very/long/path 币安人生 b";
            let lines = wrap(text, columns.max(2), 4);
            assert!(lines.iter().all(|line| width(line) <= columns.max(2)), "{columns}: {lines:?}");
            let letters = |text: &str| text.chars().filter(|char| *char != ' ').collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text), "{columns}");
        }
    }

    #[test]
    fn parts_stay_whole() {
        let parts =
            ["nats-server 12% 38 MiB", "collector 6% 13 MiB", "monitoring 1% 9 MiB"].map(str::to_owned);
        assert_eq!(join(&parts, 50), ["nats-server 12% 38 MiB · collector 6% 13 MiB", "monitoring 1% 9 MiB"]);
    }
}
