//! What the live table shows at one moment, and what of it fits a terminal. It draws nothing.

use crate::columns::{clip, join, wrap};
use crate::table::Table;

/// Rows of the table that stay before anything else is left out.
const ROWS_MIN: usize = 3;
/// Lines of news that stay while rows are left out, and lines where there is room.
const NEWS_MIN: usize = 2;
const NEWS_MAX: usize = 6;
/// Lines about what is wrong that stay while rows are left out, and lines where there is room.
const TROUBLES_MIN: usize = 4;
const TROUBLES_MAX: usize = 10;
/// Where the text of a line of news begins: `   16 s  `.
const NEWS_INDENT: usize = 9;

/// Everything that there is to show.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// One line.
    pub(crate) title: String,
    pub(crate) table: Table,
    /// CPU and memory of each process.
    pub(crate) usage: Vec<String>,
    /// What is waited for, the most important first.
    pub(crate) troubles: Vec<String>,
    /// What happened, the newest last.
    pub(crate) news: Vec<String>,
}

impl Picture {
    /// The lines: at most `height`, none wider than `columns`. What does not fit is left out in this order: older news, rows of the
    /// table (it says how many), usage, all news, what is wrong.
    pub(crate) fn lines(&self, columns: usize, height: usize) -> Vec<String> {
        let table = self.table.lines(columns);
        let (head, rows) = table.split_at(table.len().min(2));
        let usage = join(&self.usage, columns);
        let mut troubles: Vec<_> =
            self.troubles.iter().flat_map(|trouble| wrap(trouble, columns, 2)).collect();
        shorten(&mut troubles, TROUBLES_MAX, columns);

        let mut room = height.saturating_sub(1 + head.len());
        let mut claim = |wanted: usize| {
            let given = wanted.min(room);
            room -= given;
            given
        };
        let mut rows_shown = claim(rows.len().min(ROWS_MIN));
        let mut troubles_shown = claim(troubles.len().min(TROUBLES_MIN));
        let mut news_room = claim(NEWS_MIN.min(self.news.len()));
        let usage_shown = claim(usage.len());
        rows_shown += claim(rows.len() - rows_shown);
        troubles_shown += claim(troubles.len() - troubles_shown);
        news_room += claim(NEWS_MAX - NEWS_MIN);

        let mut lines = vec![clip(&self.title, columns)];
        lines.extend(head.iter().cloned());
        lines.extend(cut(rows, rows_shown, columns));
        // Half a list of processes would look like all of it.
        if usage_shown == usage.len() {
            lines.extend(usage);
        }
        shorten(&mut troubles, troubles_shown, columns);
        lines.extend(troubles);
        lines.extend(newest(&self.news, news_room, columns));
        lines.truncate(height);
        lines
    }
}

/// The first lines, the last of which says how many are left out.
fn cut(rows: &[String], shown: usize, columns: usize) -> Vec<String> {
    if shown >= rows.len() {
        return rows.to_vec();
    }
    let Some(kept) = shown.checked_sub(1) else { return Vec::new() };
    let more = format!("… and {} more", rows.len() - kept);
    rows.iter().take(kept).cloned().chain([clip(&more, columns)]).collect()
}

/// The first lines, the last of which shows that something is missing.
fn shorten(lines: &mut Vec<String>, shown: usize, columns: usize) {
    if lines.len() > shown {
        lines.truncate(shown);
        if let Some(last) = lines.last_mut() {
            *last = clip(&format!("{} …", clip(last, columns.saturating_sub(2))), columns);
        }
    }
}

/// As many of the newest lines as there is room for; the newest is shown also where it has to be cut.
fn newest(news: &[String], room: usize, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in news.iter().rev() {
        let mut wrapped = wrap(text, columns, NEWS_INDENT);
        if lines.is_empty() {
            shorten(&mut wrapped, room, columns);
        }
        if lines.len() + wrapped.len() > room {
            break;
        }
        wrapped.append(&mut lines);
        lines = wrapped;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::columns::width;
    use crate::table::Cell;

    fn picture(rows: usize, count: u64) -> Picture {
        let row = |number: usize| {
            let mut cells = vec![Cell::Text(format!("lsr_top_position{number}"))];
            cells.extend([Cell::Count(Some(count)), Cell::Count(Some(count)), Cell::Lag(Some(count))]);
            cells
        };
        let processes =
            ["nats-server", "clickhouse-hot", "clickhouse-cold", "exchange-simulator", "collector"];
        Picture {
            title: "MarketPrism · 12 s".to_owned(),
            table: Table {
                header: vec!["data type", "sent", "hot", "lag"],
                rows: (0..rows).map(row).collect(),
            },
            usage: processes.map(|name| format!("{name} 12% 238 MiB")).to_vec(),
            troubles: vec!["collector: ".to_owned() + &"binance_spot cannot be reached; ".repeat(10)],
            news: (0..9)
                .map(|at| format!("{at:>5} s  {}", "the console ended (exit status: 1) ".repeat(at % 4)))
                .collect(),
        }
    }

    #[test]
    fn it_fits_every_terminal() {
        for rows in [0, 1, 8, 60] {
            for count in [0, 12_345, u64::MAX] {
                for columns in [1, 7, 20, 40, 80, 200] {
                    for height in 0..50 {
                        let lines = picture(rows, count).lines(columns, height);
                        assert!(lines.len() <= height, "{columns}×{height}: {lines:#?}");
                        let is_narrow = |line: &String| width(line) <= columns.max(2);
                        assert!(lines.iter().all(is_narrow), "{columns}×{height}: {lines:#?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_small_terminal_says_how_many_rows_it_does_not_show() {
        let lines = picture(60, 7).lines(80, 23);
        assert!((20..=23).contains(&lines.len()), "{lines:#?}");
        let shown = lines.iter().filter(|line| line.starts_with("lsr_top_position")).count();
        assert!(shown >= ROWS_MIN - 1, "{lines:#?}");
        assert!(lines.contains(&format!("… and {} more", 60 - shown)), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("nats-server 12%")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("    8 s")), "the newest: {lines:#?}");
    }

    #[test]
    fn eight_data_types_are_all_there_at_80_by_24() {
        let lines = picture(8, 1_234_567).lines(80, 23);
        assert_eq!(lines.iter().filter(|line| line.starts_with("lsr_top_position")).count(), 8, "{lines:#?}");
        assert!(!lines.iter().any(|line| line.starts_with("… and")), "{lines:#?}");
    }
}
