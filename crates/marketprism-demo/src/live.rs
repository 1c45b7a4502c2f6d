//! The live table: redrawn in place on a terminal, printed now and then elsewhere. What it shows is `picture.rs`'s business.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use crossterm::cursor::{MoveTo, MoveToPreviousLine};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{Clear, ClearType};
use tokio::time::Instant;

use crate::columns::width;
use crate::flows::flows;
use crate::picture::Picture;
use crate::sample::{History, Sample};
use crate::usage::Usage;

/// Off a terminal, one picture this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// Events kept; more than a picture shows of them.
const NEWS_KEPT: usize = 10;
/// Columns of a line where nobody asked for details: it fits every terminal, a mail and a README.
const COLUMNS: usize = 80;
/// Lines left to the table so that the introduction stays above it; with fewer the introduction scrolls away.
const LINES_MIN: usize = 12;

/// Columns and lines of a terminal.
type Size = (u16, u16);

/// Draws on standard error, so that standard output is the result alone.
#[derive(Debug)]
pub(crate) struct Screen {
    began: Instant,
    details: bool,
    is_terminal: bool,
    /// Printed once above the table, and again when the terminal's size changes.
    introduction: Vec<String>,
    history: History,
    usage: BTreeMap<u32, (Instant, Usage)>,
    usage_shown: Vec<String>,
    news: Vec<String>,
    /// The lines of the last picture, and the size of the terminal at that time.
    drawn: Option<(u16, Size)>,
    printed: Option<Instant>,
}

impl Screen {
    /// `details` shows every market.
    pub(crate) fn new(details: bool) -> Self {
        Self {
            began: Instant::now(),
            details,
            is_terminal: stderr().is_terminal(),
            introduction: Vec::new(),
            history: History::default(),
            usage: BTreeMap::new(),
            usage_shown: Vec::new(),
            news: Vec::new(),
            drawn: None,
            printed: None,
        }
    }

    /// Prints lines that stay above the table. They are never cut, so that they can be copied.
    pub(crate) fn introduce(&mut self, lines: Vec<String>) {
        lines.iter().for_each(|line| eprintln!("{line}"));
        self.introduction = lines;
    }

    /// Something that happened.
    pub(crate) fn news(&mut self, text: impl Into<String>) {
        let text = format!("{:>5.0} s  {}", self.began.elapsed().as_secs_f64(), text.into());
        if !self.is_terminal {
            eprintln!("{text}");
        }
        if self.news.len() == NEWS_KEPT {
            self.news.remove(0);
        }
        self.news.push(text);
        if self.drawn.is_some() {
            self.draw();
        }
    }

    /// Shows a new sample, and what the processes use.
    pub(crate) fn show(&mut self, sample: Sample, processes: &[(&'static str, u32)]) {
        self.history.push(sample);
        if self.is_terminal {
            self.measure(processes);
            self.draw();
        } else if self.printed.is_none_or(|at| at.elapsed() >= PLAIN_INTERVAL) {
            self.printed = Some(Instant::now());
            self.measure(processes);
            // News were printed when they happened.
            let picture = Picture { news: Vec::new(), ..self.picture() };
            let columns = if self.details { usize::MAX } else { COLUMNS };
            picture.lines(columns, usize::MAX).iter().for_each(|line| eprintln!("{line}"));
        }
    }

    fn picture(&self) -> Picture {
        let last = self.history.last();
        let failure = last.and_then(|sample| sample.trouble.as_deref());
        let failure =
            failure.map(|trouble| format!("waiting: {}", trouble.lines().next().unwrap_or_default()));
        Picture {
            title: format!("MarketPrism · {:.0} s", self.began.elapsed().as_secs_f64()),
            table: flows(&self.history, self.details),
            usage: self.usage_shown.clone(),
            troubles: failure.into_iter().chain(self.history.complaints().iter().cloned()).collect(),
            news: self.news.clone(),
        }
    }

    fn draw(&mut self) {
        let size = size();
        // A terminal that does not obey only shows the pictures below each other.
        let _cosmetic = self.draw_at(size, &mut stderr());
    }

    fn draw_at(&mut self, size: Size, out: &mut impl Write) -> std::io::Result<()> {
        let (columns, height) = (usize::from(size.0), usize::from(size.1));
        let above: usize =
            self.introduction.iter().map(|line| width(line).div_ceil(columns.max(1)).max(1)).sum();
        // The cursor stands on the line below the picture.
        let below = height.saturating_sub(1);
        let room = below.checked_sub(above).filter(|room| *room >= LINES_MIN).unwrap_or(below);
        let shown = if self.details { columns } else { columns.min(COLUMNS) };
        let lines = self.picture().lines(shown, room);

        let mut text = Vec::new();
        match self.drawn {
            Some((0, _)) | None => {}
            Some((lines, at)) if at == size => queue!(text, MoveToPreviousLine(lines))?,
            // Another size broke the old lines anew; where they begin now, only the terminal knows.
            Some(_) => {
                queue!(text, Clear(ClearType::All), MoveTo(0, 0))?;
                for line in &self.introduction {
                    queue!(text, Print(line), Print("\r\n"))?;
                }
            }
        }
        for line in &lines {
            // Cleared before it is written: at the last column a terminal would clear the last character.
            queue!(text, Clear(ClearType::CurrentLine), Print(line), Print("\r\n"))?;
        }
        queue!(text, Clear(ClearType::FromCursorDown))?;
        self.drawn = Some((u16::try_from(lines.len()).unwrap_or(u16::MAX), size));
        // At once, so that nobody sees half a picture.
        out.write_all(&text)
    }

    /// CPU since the last time, and memory, of each process.
    fn measure(&mut self, processes: &[(&'static str, u32)]) {
        let now = Instant::now();
        let mut shown = Vec::new();
        for (name, pid) in processes {
            let Some(usage) = Usage::of(*pid) else { continue };
            let (since, before) = self.usage.insert(*pid, (now, usage)).unwrap_or((now, usage));
            let percent = usage.cpu_permille_since(before, now - since) / 10;
            shown.push(format!("{name} {percent}% {} MiB", usage.resident_bytes >> 20));
        }
        self.usage_shown = shown;
    }
}

/// The terminal's size at this moment; that of a terminal of old where it does not say.
fn size() -> Size {
    crossterm::terminal::size().ok().filter(|size| size.0 > 0 && size.1 > 0).unwrap_or((80, 24))
}

/// Columns for the result on standard output: of a terminal as many as it has, elsewhere as many as a line needs.
pub(crate) fn result_columns(details: bool) -> usize {
    let terminal = std::io::stdout().is_terminal().then(|| usize::from(size().0));
    let wanted = if details { usize::MAX } else { COLUMNS };
    terminal.unwrap_or(wanted).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(screen: &mut Screen, size: Size) -> String {
        let mut out = Vec::new();
        screen.draw_at(size, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_picture_replaces_the_one_before_and_another_size_begins_at_the_top() {
        let mut screen = Screen { is_terminal: true, ..Screen::new(false) };
        screen.introduction = vec!["console  http://127.0.0.1:8082".to_owned()];
        let first = drawn(&mut screen, (80, 24));
        assert!(!first.contains("\u{1b}[2J") && !first.contains('F'), "nothing is there yet: {first:?}");
        assert!(first.contains("MarketPrism · 0 s\r\n"), "{first:?}");
        let lines = first.matches("\r\n").count();
        let second = drawn(&mut screen, (80, 24));
        assert!(second.starts_with(&format!("\u{1b}[{lines}F")), "{second:?}");
        let third = drawn(&mut screen, (60, 20));
        assert!(third.starts_with("\u{1b}[2J\u{1b}[1;1Hconsole  http://127.0.0.1:8082\r\n"), "{third:?}");
    }

    #[test]
    fn the_introduction_stays_where_there_is_room_for_it() {
        let mut screen = Screen { is_terminal: true, ..Screen::new(true) };
        screen.introduction = vec!["x".repeat(100); 2];
        for number in 0..NEWS_KEPT * 2 {
            screen.news(format!("number {number}"));
        }
        for (height, lines_max) in [(24, 19), (14, 13), (3, 2), (1, 0)] {
            let text = drawn(&mut screen, (80, height));
            let lines = text.matches("\r\n").count() - if text.contains("xxx") { 2 } else { 0 };
            assert!(lines <= lines_max, "{height}: {lines} {text:?}");
        }
    }
}
