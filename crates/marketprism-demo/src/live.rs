//! The live table: redrawn in place on a terminal, a line now and then elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use crossterm::cursor::MoveUp;
use crossterm::execute;
use crossterm::terminal::{Clear, ClearType};
use tokio::time::Instant;

use crate::sample::{History, Key};
use crate::stack::Stack;
use crate::usage::Usage;

/// Off a terminal, one picture this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// Events kept below the table.
const NEWS_MAX: usize = 5;

/// Draws on standard error, so that standard output is the result alone.
#[derive(Debug)]
pub(crate) struct Screen {
    began: Instant,
    drawn_lines: u16,
    drawn: Option<Instant>,
    terminal: bool,
    news: Vec<String>,
    usage: BTreeMap<u32, (Instant, Usage)>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = stderr().is_terminal();
        Self {
            began: Instant::now(),
            drawn_lines: 0,
            drawn: None,
            terminal,
            news: Vec::new(),
            usage: BTreeMap::new(),
        }
    }

    /// Something that happened.
    pub(crate) fn news(&mut self, text: impl Into<String>) {
        let text = format!("{:>5.0} s  {}", self.began.elapsed().as_secs_f64(), text.into());
        if !self.terminal {
            eprintln!("{text}");
        }
        if self.news.len() == NEWS_MAX {
            self.news.remove(0);
        }
        self.news.push(text);
    }

    pub(crate) fn draw(&mut self, history: &History, stack: &Stack) {
        if !self.terminal && self.drawn.is_some_and(|at| at.elapsed() < PLAIN_INTERVAL) {
            return;
        }
        self.drawn = Some(Instant::now());
        let mut text =
            format!("MarketPrism · {:.0} s\n{}\n", self.began.elapsed().as_secs_f64(), flows(history));
        text.push_str(&self.processes(stack));
        if let Some(trouble) = history.last().and_then(|sample| sample.trouble.as_deref()) {
            text.push_str(&format!("waiting: {}\n", trouble.lines().next().unwrap_or_default()));
        }
        if self.terminal {
            text.extend(self.news.iter().map(|news| format!("{news}\n")));
        }
        self.show(&text);
    }

    fn show(&mut self, text: &str) {
        let mut out = stderr();
        if self.terminal && self.drawn_lines > 0 {
            // A terminal that does not obey only shows the pictures below each other.
            let _cosmetic = execute!(out, MoveUp(self.drawn_lines), Clear(ClearType::FromCursorDown));
        }
        let _cosmetic = out.write_all(text.as_bytes());
        self.drawn_lines = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
    }

    /// CPU and memory of each process in one line.
    fn processes(&mut self, stack: &Stack) -> String {
        let now = Instant::now();
        let mut parts = Vec::new();
        for (name, pid) in stack.pids() {
            let Some(usage) = Usage::of(pid) else { continue };
            let (since, before) = self.usage.insert(pid, (now, usage)).unwrap_or((now, usage));
            let percent = usage.cpu_permille_since(before, now - since) / 10;
            parts.push(format!("{name} {percent}% {} MiB", usage.resident_bytes >> 20));
        }
        format!("{}\n", parts.join(" · "))
    }
}

fn flows(history: &History) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "data type",
        "exchange",
        "messages/s",
        "sent",
        "hot",
        "cold",
        "lost",
        "duplicated",
        "lag",
    ]);
    for (key, counts) in history.last().iter().flat_map(|sample| &sample.rows) {
        let told = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), grouped);
        table.add_row([
            key.data_type.clone(),
            place(key),
            grouped(history.rate(key)),
            told(counts.sent),
            grouped(counts.hot),
            grouped(counts.cold),
            told(history.overdue(key)),
            grouped(counts.duplicated),
            counts.lag_milliseconds.map_or_else(|| "–".to_owned(), |lag| format!("{lag} ms")),
        ]);
    }
    for column in 2..9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `binance spot`
pub(crate) fn place(key: &Key) -> String {
    format!("{} {}", key.exchange, key.market_type)
}

/// `1234567` as `1 234 567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
