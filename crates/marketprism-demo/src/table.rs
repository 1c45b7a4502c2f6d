//! A table of counts that keeps to a width: exact where there is room, in thousands, millions and billions where there is not.
//! What is counted is not its business.

use comfy_table::{CellAlignment, Table as Drawing, TableStyle};

use crate::columns::{clip, width};

/// What is not known.
const UNKNOWN: &str = "–";

/// One field of a row.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// Left-aligned.
    Text(String),
    /// `None` where nobody knows.
    Count(Option<u64>),
    /// Milliseconds; `None` where nobody knows.
    Lag(Option<u64>),
}

/// A header, a rule below it, and a line for each row.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The lines, none wider than `columns`: header, rule, rows.
    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        let fits = |lines: &Vec<String>| lines.iter().all(|line| width(line) <= columns);
        let lines = Some(self.drawn(2, grouped)).filter(fits);
        let lines = lines.or_else(|| Some(self.drawn(2, short)).filter(fits));
        let lines = lines.unwrap_or_else(|| self.drawn(1, short));
        lines.iter().map(|line| clip(line, columns)).collect()
    }

    /// With `space` between two columns.
    fn drawn(&self, space: u16, number: fn(u64) -> String) -> Vec<String> {
        let mut drawing = Drawing::new();
        drawing.load_style(TableStyle::new()).force_no_tty();
        drawing.set_header(&self.header);
        for row in &self.rows {
            drawing.add_row(row.iter().map(|cell| match cell {
                Cell::Text(text) => text.clone(),
                Cell::Count(count) => count.map_or_else(|| UNKNOWN.to_owned(), number),
                Cell::Lag(lag) => lag.map_or_else(|| UNKNOWN.to_owned(), lag_text),
            }));
        }
        for (at, column) in drawing.column_iter_mut().enumerate() {
            let is_text = self.rows.first().is_none_or(|row| matches!(row.get(at), Some(Cell::Text(_))));
            column.set_padding((if at == 0 { 0 } else { space }, 0));
            column.set_cell_alignment(if is_text { CellAlignment::Left } else { CellAlignment::Right });
        }
        let mut lines: Vec<String> = drawing.lines().map(|line| line.trim_end().to_owned()).collect();
        let widest = lines.iter().map(|line| width(line)).max().unwrap_or(0);
        lines.insert(1.min(lines.len()), "─".repeat(widest));
        lines
    }
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

/// `1234567` as `1.23M`: at most five characters up to 999 T, rounded down, so that nothing looks complete that is not.
fn short(count: u64) -> String {
    const UNITS: [(u64, char); 4] =
        [(1_000_000_000_000, 'T'), (1_000_000_000, 'G'), (1_000_000, 'M'), (1_000, 'k')];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| count >= *unit && count >= 10_000) else {
        return count.to_string();
    };
    let (whole, hundredths) = (count / unit, count % unit * 100 / unit);
    match whole {
        0..=9 => format!("{whole}.{hundredths:02}{name}"),
        10..=99 => format!("{whole}.{}{name}", hundredths / 10),
        _ => format!("{whole}{name}"),
    }
}

/// `544 ms`, `12 s`, `3 min`.
fn lag_text(milliseconds: u64) -> String {
    match milliseconds {
        0..=9_999 => format!("{milliseconds} ms"),
        10_000..=599_999 => format!("{} s", milliseconds / 1_000),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(count: u64) -> Table {
        let cell = Cell::Count(Some(count));
        Table {
            header: vec!["data type", "sent", "hot", "lag"],
            rows: vec![
                vec![Cell::Text("volatility_index".to_owned()), cell.clone(), cell, Cell::Lag(Some(544))],
                vec![
                    Cell::Text("trade".to_owned()),
                    Cell::Count(None),
                    Cell::Count(Some(7)),
                    Cell::Lag(None),
                ],
            ],
        }
    }

    #[test]
    fn numbers_are_exact_where_there_is_room_and_short_where_there_is_not() {
        let lines: Vec<_> =
            table(1_234_567).lines(80).iter().map(|line| line.replace('\u{202f}', " ")).collect();
        assert_eq!(
            lines,
            [
                "data type              sent        hot     lag",
                "──────────────────────────────────────────────",
                "volatility_index  1 234 567  1 234 567  544 ms",
                "trade                     –          7       –",
            ]
        );
        let lines = table(1_234_567).lines(36);
        assert!(lines[2].contains(" 1.23M 1.23M 544 ms"), "{lines:#?}");
        assert!(lines.iter().all(|line| width(line) <= 36), "{lines:#?}");
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        for columns in 0..100 {
            let lines = table(u64::MAX).lines(columns);
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:#?}");
            assert_eq!(lines.len(), 4);
        }
    }

    #[test]
    fn short_numbers_never_say_more_than_there_is() {
        for (count, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0k"),
            (999_999, "999k"),
            (1_999_999, "1.99M"),
            (19_999_999, "19.9M"),
            (5_000_000_000, "5.00G"),
            (999_000_000_000_000, "999T"),
        ] {
            assert_eq!(short(count), text);
        }
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let lines = Table { header: vec!["data type", "sent"], rows: Vec::new() }.lines(80);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].starts_with("data type"), "{lines:#?}");
    }
}
