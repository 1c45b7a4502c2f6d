//! What is stored of each symbol on each day in both tiers, and what is declared missing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use marketprism_core::{DataType, MarketType, Timestamp};
use marketprism_service::Report;
use marketprism_store::StoreError;
use marketprism_store::census::{Census, GapDay, LINES_MAX, SymbolDay};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::Live;
use crate::envelope::Failure;
use crate::parameters::Parameters;

/// Days up to today that are shown unless asked otherwise, and at most.
const DAYS_DEFAULT: u16 = 14;
const DAYS: RangeInclusive<u16> = 1..=60;
/// How long an answer is kept: each counts the rows of a market, which takes the server a second or more.
const KEPT: Duration = Duration::from_secs(15);
/// Answers kept: one for each market and data type that somebody looks at.
const ANSWERS_MAX: usize = 64;

/// The days of every symbol of a market.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Completeness {
    exchange: String,
    #[schema(value_type = String)]
    market_type: MarketType,
    #[schema(value_type = String)]
    data_type: DataType,
    /// How long ago it was counted, ms.
    age_ms: u64,
    /// What else can be asked for.
    markets: Vec<Market>,
    #[schema(value_type = Vec<String>)]
    data_types: &'static [DataType],
    /// Why a tier could not be asked, null where it could.
    tiers: Tiers,
    /// `2026-11-21`, oldest first.
    days: Vec<String>,
    /// Those with gaps first, then those not copied, then by name.
    symbols: Vec<SymbolDays>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct Market {
    exchange: String,
    #[schema(value_type = String)]
    market_type: MarketType,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct Tiers {
    hot: Option<String>,
    cold: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct SymbolDays {
    symbol: String,
    /// One a day.
    cells: Vec<Cell>,
}

/// One symbol on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct Cell {
    /// Rows; null where the tier could not be asked.
    hot: Option<u64>,
    /// Those that the ledger proves to be equal to the hot ones, or to have been when these were released.
    cold: Option<u64>,
    /// Gaps declared on that day.
    gaps: u64,
    /// Those of them in which something is missing still.
    open_gaps: u64,
    state: CellState,
}

/// Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CellState {
    /// Nothing is stored, nothing is declared missing.
    None,
    /// In the cold tier, with nothing missing.
    Complete,
    /// A tier cannot be asked.
    Unknown,
    /// Not all of it is in the cold tier yet.
    Copying,
    /// Something is missing for good.
    Gaps,
}

type Key = (String, MarketType, DataType, u16);

/// Answers for a moment. Who asks waits for the question before: the tiers are asked one question at a time.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<BTreeMap<Key, (Instant, Completeness)>>);

/// What was counted in a tier.
#[derive(Default)]
struct Counted {
    rows: Vec<SymbolDay>,
    gaps: Vec<GapDay>,
}

/// Answers a question.
///
/// # Errors
/// When it cannot be understood, or nobody says which markets there are.
pub(crate) async fn look(live: &Live, mut parameters: Parameters) -> Result<Completeness, Failure> {
    let exchange = parameters.text("exchange");
    let market_type: Option<MarketType> = parameters.word("market_type")?;
    let data_type = parameters.word("data_type")?.unwrap_or(DataType::Trade);
    let days = parameters.number("days", &DAYS)?.unwrap_or(DAYS_DEFAULT);
    parameters.end()?;
    let markets = live.board.markets(&live.collector).await;
    let (exchange, market_type) = match (exchange, market_type) {
        (Some(exchange), Some(market_type)) => (exchange, market_type),
        (None, None) => markets.first().cloned().ok_or_else(|| {
            Failure::unavailable(
                "the collector does not say which markets there are: name exchange and market_type",
            )
        })?,
        (Some(value), None) => {
            return Err(Failure::parameter("exchange", &value, "needs market_type beside it"));
        }
        (None, Some(value)) => {
            return Err(Failure::parameter("market_type", value.as_str(), "needs exchange beside it"));
        }
    };
    let key = (exchange, market_type, data_type, days);
    let mut answers = live.answers.0.lock().await;
    answers.retain(|_, (at, _)| at.elapsed() < KEPT);
    let (at, mut answer) = match answers.get(&key) {
        Some(kept) => kept.clone(),
        None => {
            let counted = count(live, &key).await;
            (Instant::now(), counted)
        }
    };
    if answers.len() < ANSWERS_MAX {
        answers.entry(key).or_insert_with(|| (at, answer.clone()));
    }
    answer.age_ms = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
    answer.markets =
        markets.into_iter().map(|(exchange, market_type)| Market { exchange, market_type }).collect();
    Ok(answer)
}

async fn count(live: &Live, (exchange, market_type, data_type, days): &Key) -> Completeness {
    let today = u16::try_from(super::now_us() / 86_400_000_000).unwrap_or(u16::MAX);
    let from_day = today.saturating_sub(days - 1);
    let of = Census { exchange, market_type: *market_type, from_day };
    // What is in the cold tier counts when the ledger proves it.
    let (hot, cold, hot_gaps, cold_gaps) = tokio::join!(
        live.hot.store.rows_by_day(*data_type, of),
        live.cold.store.proved_rows_by_day(*data_type, of),
        live.hot.store.gaps_by_day(*data_type, of),
        live.cold.store.gaps_by_day(*data_type, of),
    );
    let (hot, cold) = (tier(hot, hot_gaps), tier(cold, cold_gaps));
    let tiers = Tiers { hot: hot.as_ref().err().cloned(), cold: cold.as_ref().err().cloned() };
    let numbers: Vec<_> = (from_day..=today).collect();
    Completeness {
        exchange: exchange.clone(),
        market_type: *market_type,
        data_type: *data_type,
        age_ms: 0,
        markets: Vec::new(),
        data_types: DataType::ALL,
        tiers,
        symbols: table(&numbers, hot, cold),
        days: numbers.into_iter().map(date).collect(),
    }
}

/// Rows and gaps of a tier; a tier that tells only one of them is as good as away.
fn tier(
    rows: Result<Vec<SymbolDay>, StoreError>,
    gaps: Result<Vec<GapDay>, StoreError>,
) -> Result<Counted, String> {
    let words = |error: StoreError| Report::from(error).to_string();
    let counted = Counted { rows: rows.map_err(words)?, gaps: gaps.map_err(words)? };
    if counted.rows.len().max(counted.gaps.len()) >= LINES_MAX {
        return Err(format!("more than {LINES_MAX} lines by symbol and day: ask for fewer days"));
    }
    Ok(counted)
}

/// One line a symbol, the worst first.
fn table(days: &[u16], hot: Result<Counted, String>, cold: Result<Counted, String>) -> Vec<SymbolDays> {
    let empty = |tier: &Result<Counted, String>| tier.as_ref().ok().map(|_| 0);
    let blank = Cell { hot: empty(&hot), cold: empty(&cold), gaps: 0, open_gaps: 0, state: CellState::None };
    let mut symbols: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
    let mut put = |symbol: String, day: u16, change: &dyn Fn(&mut Cell)| {
        let cells = symbols.entry(symbol).or_insert_with(|| vec![blank.clone(); days.len()]);
        let at = days.iter().position(|known| *known == day);
        if let Some(cell) = at.and_then(|at| cells.get_mut(at)) {
            change(cell);
        }
    };
    let (hot, cold) = (hot.unwrap_or_default(), cold.unwrap_or_default());
    for SymbolDay { symbol, day, rows } in hot.rows {
        put(symbol, day, &|cell| cell.hot = Some(rows));
    }
    for SymbolDay { symbol, day, rows } in cold.rows {
        put(symbol, day, &|cell| cell.cold = Some(rows));
    }
    // The newest are only in the hot tier, the oldest only in the cold one; a day's gaps are taken from where there are more.
    for GapDay { symbol, day, gaps, open } in hot.gaps.into_iter().chain(cold.gaps) {
        put(symbol, day, &|cell| {
            cell.gaps = cell.gaps.max(gaps);
            cell.open_gaps = cell.open_gaps.max(open);
        });
    }
    let mut lines: Vec<_> = symbols.into_iter().map(|(symbol, cells)| SymbolDays { symbol, cells }).collect();
    for cell in lines.iter_mut().flat_map(|line| &mut line.cells) {
        cell.state = state(cell);
    }
    // Stable: by name among equals.
    lines.sort_by_key(|line| std::cmp::Reverse(line.cells.iter().map(|cell| cell.state).max()));
    lines
}

const fn state(cell: &Cell) -> CellState {
    match (cell.hot, cell.cold) {
        _ if cell.open_gaps > 0 => CellState::Gaps,
        (Some(0), Some(0)) => CellState::None,
        // Hot rows go only after they were proved to be in the cold tier.
        (Some(hot), Some(cold)) if cold >= hot => CellState::Complete,
        (Some(_), Some(_)) => CellState::Copying,
        (None, _) | (_, None) => CellState::Unknown,
    }
}

/// `2026-11-21`
fn date(day: u16) -> String {
    let midnight = Timestamp::from_micros(i64::from(day) * 86_400_000_000);
    midnight.map_or_else(String::new, |midnight| midnight.to_string().chars().take(10).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(lines: &[(&str, u16, u64)], gaps: Vec<GapDay>) -> Result<Counted, String> {
        let rows = lines
            .iter()
            .map(|(symbol, day, rows)| SymbolDay { symbol: (*symbol).to_owned(), day: *day, rows: *rows })
            .collect();
        Ok(Counted { rows, gaps })
    }

    fn gap(symbol: &str, day: u16, gaps: u64, open: u64) -> GapDay {
        GapDay { symbol: symbol.to_owned(), day, gaps, open }
    }

    fn states(lines: &[SymbolDays]) -> Vec<(&str, Vec<CellState>)> {
        lines
            .iter()
            .map(|line| (line.symbol.as_str(), line.cells.iter().map(|cell| cell.state).collect()))
            .collect()
    }

    #[test]
    fn the_worst_symbol_comes_first_and_filled_gaps_are_complete() {
        use CellState::{Complete, Copying, Gaps, None};
        let hot = counted(&[("A", 8, 5), ("B", 8, 5), ("B", 9, 7), ("C", 9, 1)], vec![gap("A", 8, 2, 0)]);
        let cold = counted(
            &[("A", 7, 9), ("A", 8, 5), ("B", 8, 5), ("B", 9, 6), ("C", 9, 1), ("C", 6, 1)],
            vec![gap("C", 8, 1, 1), gap("C", 8, 1, 0)],
        );
        let lines = table(&[7, 8, 9], hot, cold);
        assert_eq!(
            states(&lines),
            [
                ("C", vec![None, Gaps, Complete]),
                ("B", vec![None, Complete, Copying]),
                ("A", vec![Complete, Complete, None])
            ]
        );
        assert_eq!(lines[2].cells[0].hot, Some(0), "released");
    }

    #[test]
    fn what_cannot_be_asked_is_unknown_and_not_nothing() {
        let lines = table(&[7, 8], counted(&[("A", 8, 5)], vec![]), Err("away".to_owned()));
        assert_eq!(states(&lines), [("A", vec![CellState::Unknown, CellState::Unknown])]);
        assert_eq!(lines[0].cells[1].cold, None);
    }
}
