//! Splits SQL text into tokens: just enough to find clauses, never to judge the text (the engine's parser does that).

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bare word: keyword, name or function.
    Word,
    /// A name or text in quotes, or a heredoc.
    Quoted,
    /// Any other single byte.
    Symbol(u8),
}

/// One token: where it is, and how many brackets are open around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) depth: usize,
}

impl Token {
    /// Whether it is this keyword, outside all brackets.
    pub(crate) fn is(&self, text: &[u8], keyword: &str) -> bool {
        self.kind == Kind::Word && self.depth == 0 && self.of(text).eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// Whether it is this symbol.
    pub(crate) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    /// Its bytes.
    pub(crate) fn of<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The tokens of a text, comments and blanks left out. A token that reaches the end of the text may be unfinished.
pub(crate) fn tokens(text: &[u8]) -> Lexer<'_> {
    Lexer { text, at: 0, depth: 0 }
}

#[derive(Debug)]
pub(crate) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            let skipped = match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => 1,
                [b'-', b'-', ..] | [b'#', b' ' | b'!', ..] => length_until(rest, b"\n"),
                [b'/', b'*', ..] => 2 + length_until(rest.get(2..).unwrap_or_default(), b"*/"),
                _ => return,
            };
            self.at += skipped;
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks_and_comments();
        let start = self.at;
        let rest = self.rest();
        let first = *rest.first()?;
        let (kind, length) = match first {
            b'\'' | b'"' | b'`' => (Kind::Quoted, quoted_length(rest, first)),
            b'$' => heredoc_length(rest).map_or((Kind::Symbol(b'$'), 1), |length| (Kind::Quoted, length)),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => (Kind::Word, word_length(rest)),
            symbol => (Kind::Symbol(symbol), 1),
        };
        if matches!(first, b')' | b']' | b'}') {
            self.depth = self.depth.saturating_sub(1);
        }
        let token = Token { kind, start, end: start + length, depth: self.depth };
        if matches!(first, b'(' | b'[' | b'{') {
            self.depth += 1;
        }
        self.at = token.end;
        Some(token)
    }
}

fn word_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80).count()
}

/// Up to and with the closing quote; a backslash takes the next byte, and a doubled quote is two texts side by side,
/// which is the same to us.
fn quoted_length(text: &[u8], quote: u8) -> usize {
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if *byte == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// `$tag$ ... $tag$`
fn heredoc_length(text: &[u8]) -> Option<usize> {
    let tag_length = 1 + word_length(text.get(1..)?);
    let tag = text.get(..=tag_length).filter(|tag| tag.last() == Some(&b'$'))?;
    Some(tag.len() + length_until(text.get(tag.len()..)?, tag))
}

/// Up to and with the first `end`, or all of it.
fn length_until(text: &[u8], end: &[u8]) -> usize {
    text.windows(end.len()).position(|window| window == end).map_or(text.len(), |index| index + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(sql: &str) -> Vec<&str> {
        tokens(sql.as_bytes()).map(|token| sql.get(token.start..token.end).unwrap()).collect()
    }

    #[test]
    fn texts_names_comments_and_heredocs_hide_what_is_in_them() {
        assert_eq!(
            words("a 'it\\'s; ''x' `b;` /* ; */ -- ;\n \"c;\" # ;\n $t$ ; $t$ (d)"),
            ["a", "'it\\'s; '", "'x'", "`b;`", "\"c;\"", "$t$ ; $t$", "(", "d", ")"]
        );
        assert_eq!(words("'unfinished ;"), ["'unfinished ;"]);
        assert_eq!(words("a/* unfinished"), ["a"]);
    }

    #[test]
    fn depth_counts_open_brackets() {
        let depths: Vec<usize> = tokens(b"a(b[c])d").map(|token| token.depth).collect();
        assert_eq!(depths, [0, 0, 1, 1, 2, 1, 0, 0]);
    }
}
