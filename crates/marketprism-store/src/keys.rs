//! What the exchange's own ids say about the rows of a table: the same event stored twice, ids that are missing, and which
//! sequences a span of time has. Questions only.

use clickhouse::Row;
use marketprism_core::DataType;
use serde::Deserialize;

use crate::client::Store;
use crate::error::StoreError;
use crate::range::Range;
use crate::table::table;

/// Memory of the server for one of these questions; beyond it, it uses its disk.
const MEMORY_BYTES_MAX: &str = "268435456";
/// What is told of one question.
const ROWS_MAX: usize = 10_000;
/// A hole is looked for again by the collector and filled from REST; before that is over it is nobody's mistake yet.
const FILLED_WITHIN_MINUTES: u32 = 10;

/// Rows of one table to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All of them.
    All(DataType),
    /// Those of a range of sequences.
    Range(Range),
    /// Those whose event time lies in a span, µs since 1970, the end excluded.
    Time(DataType, i64, i64),
}

/// One event that is in several rows.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Repeated {
    /// Exchange token.
    pub exchange: String,
    /// Market type.
    pub market_type: String,
    /// Canonical symbol.
    pub symbol: String,
    /// What names the event: `trade_id 17`.
    pub key: String,
    /// Epoch and sequence of up to ten of the rows.
    pub rows: Vec<(u32, u64)>,
}

/// Consecutive trade ids of one market that no row has and no gap declares.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Hole {
    /// Exchange token.
    pub exchange: String,
    /// Market type.
    pub market_type: String,
    /// Canonical symbol.
    pub symbol: String,
    /// First missing id.
    pub from_id: u64,
    /// Last missing id.
    pub to_id: u64,
    /// Event time of the trade before, µs since 1970.
    pub from_us: i64,
    /// Event time of the trade after, µs since 1970.
    pub to_us: i64,
}

/// What a gap row declares: ids, times, or both.
type Declared = (Option<u64>, Option<u64>, Option<i64>, Option<i64>);

impl Rows {
    const fn data_type(&self) -> DataType {
        match self {
            Self::All(data_type) | Self::Time(data_type, ..) | Self::Range(Range { data_type, .. }) => {
                *data_type
            }
        }
    }

    fn condition(&self) -> String {
        match self {
            Self::All(_) => "1".to_owned(),
            Self::Range(range) => range.condition(),
            Self::Time(_, from, to) => format!(
                "timestamp >= fromUnixTimestamp64Micro({from}, 'UTC') AND timestamp < fromUnixTimestamp64Micro({to}, 'UTC')"
            ),
        }
    }
}

/// How an event of a table is named within its market and time, as in `marketprism_core::message_id`.
const fn key(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Trade => "concat(if(first_trade_id IS NULL, 'trade_id ', 'aggregate '), trade_id)",
        DataType::OrderBook => "concat('last_update_id ', toString(last_update_id))",
        DataType::FundingRate | DataType::OpenInterest => "'its time'",
        DataType::Liquidation => "concat(side, ' ', toString(quantity), ' at ', toString(price))",
        DataType::VolatilityIndex => "concat('resolution ', toString(ifNull(resolution_seconds, 0)))",
        DataType::LsrTopPosition | DataType::LsrAllAccount => "concat('period ', period)",
        DataType::Gap => {
            "concat(missing_data_type, ' ', toString(from_sequence), '-', toString(to_sequence), ' ', \
             toString(from_time), '-', toString(to_time), ' ', reason)"
        }
    }
}

/// First and last number that a row of `trades` stands for, and which of a market's two sequences it counts in: Deribit numbers
/// trades beside their ids, an aggregate that goes by its last trade stands for all of its trades (OKX), any other aggregate
/// counts aggregates (Binance). A row whose id is no number has none.
const NUMBERED: &str = "\
assumeNotNull(ifNull(trade_sequence, toUInt64OrNull(trade_id))) AS last, \
ifNull(first_trade_id IS NOT NULL AND last_trade_id = last, 0) AS is_merged, \
if(is_merged, assumeNotNull(first_trade_id), last) AS first, \
first_trade_id IS NOT NULL AND NOT is_merged AS is_aggregate";
const IS_NUMBERED: &str = "(trade_sequence IS NOT NULL OR toUInt64OrNull(trade_id) IS NOT NULL)";

impl Store {
    /// Events that are in more than one row. Rows of one event are told together where they have one event time.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn repeated(&self, rows: &Rows) -> Result<Vec<Repeated>, StoreError> {
        let (table, key) = (table(rows.data_type()), key(rows.data_type()));
        let question = format!(
            "SELECT exchange, market_type, symbol, {key} AS key, arraySort(groupArray(10)((stream_epoch, stream_seq))) AS rows \
             FROM `{table}` WHERE {} GROUP BY exchange, market_type, symbol, timestamp, key \
             HAVING uniqExact(stream_epoch, stream_seq) > 1 LIMIT {ROWS_MAX}",
            rows.condition()
        );
        let found = self
            .bounded(&question)
            .with_setting("optimize_aggregation_in_order", "1")
            .fetch_all::<Repeated>();
        self.ask(&format!("look for repeated events in {table}"), found).await
    }

    /// Trade ids between the lowest and the highest of each market that no row has and no gap row of these tiers declares.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn trade_id_holes(&self, rows: &Rows, declared_in: &[&Self]) -> Result<Vec<Hole>, StoreError> {
        let question = format!(
            "SELECT exchange, market_type, symbol, toUInt64(before + 1) AS from_id, toUInt64(first - 1) AS to_id, \
             before_us AS from_us, at_us AS to_us FROM ( \
             SELECT exchange, market_type, symbol, first, at_us, ts_recv, \
             max(last) OVER earlier AS before, lagInFrame(at_us) OVER earlier_and_this AS before_us FROM ( \
             SELECT exchange, market_type, symbol, {NUMBERED}, toUnixTimestamp64Micro(timestamp) AS at_us, ts_recv \
             FROM `trades` WHERE {IS_NUMBERED} AND {}) \
             WINDOW earlier AS (PARTITION BY exchange, market_type, symbol, is_aggregate ORDER BY last, first \
             ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), \
             earlier_and_this AS (PARTITION BY exchange, market_type, symbol, is_aggregate ORDER BY last, first \
             ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) \
             WHERE before > 0 AND first > before + 1 AND ts_recv < now64(6) - INTERVAL {FILLED_WITHIN_MINUTES} MINUTE \
             ORDER BY exchange, market_type, symbol, from_id LIMIT {ROWS_MAX}",
            rows.condition()
        );
        let found = self.bounded(&question).fetch_all::<Hole>();
        let holes = self.ask("look for holes in trade ids", found).await?;
        let mut undeclared = Vec::new();
        for market in holes.chunk_by(|one, next| {
            (&one.exchange, &one.market_type, &one.symbol)
                == (&next.exchange, &next.market_type, &next.symbol)
        }) {
            let Some(Hole { exchange, market_type, symbol, .. }) = market.first() else { continue };
            let mut declared = Vec::new();
            for tier in declared_in {
                declared.extend(tier.declared(exchange, market_type, symbol).await?);
            }
            undeclared.extend(market.iter().flat_map(|hole| left_of(hole, &declared)));
        }
        Ok(undeclared)
    }

    /// Whether rows of this tier have all the ids of a hole that another one has.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn fills(&self, hole: &Hole) -> Result<bool, StoreError> {
        let Hole { exchange, market_type, symbol, from_id, to_id, .. } = hole;
        let question = format!(
            "SELECT toUInt64(sum(last - first + 1)) FROM (SELECT DISTINCT first, last FROM (SELECT {NUMBERED} FROM `trades` \
             WHERE exchange = ? AND market_type = ? AND symbol = ? AND {IS_NUMBERED}) WHERE first >= ? AND last <= ?)"
        );
        let market = self.client.query(&question).bind(exchange).bind(market_type).bind(symbol);
        let found = market.bind(from_id).bind(to_id).fetch_one::<u64>();
        let ids = self.ask("look for the trade ids of a hole", found).await?;
        Ok(ids == to_id.saturating_sub(*from_id).saturating_add(1))
    }

    async fn declared(
        &self,
        exchange: &str,
        market_type: &str,
        symbol: &str,
    ) -> Result<Vec<Declared>, StoreError> {
        let found = self
            .client
            .query(
                "SELECT from_sequence, to_sequence, toUnixTimestamp64Micro(from_time), toUnixTimestamp64Micro(to_time) \
                 FROM gaps WHERE exchange = ? AND market_type = ? AND symbol = ? AND missing_data_type = 'trade'",
            )
            .bind(exchange)
            .bind(market_type)
            .bind(symbol)
            .fetch_all::<Declared>();
        self.ask("read the gaps of trades", found).await
    }

    /// The sequences of an epoch that have rows of a span of event time (µs since 1970, the end excluded), and those that may
    /// have had: up to the rows before and after.
    ///
    /// # Errors
    /// [`StoreError::Request`] when the server does not answer.
    pub async fn sequences_of_time(
        &self,
        data_type: DataType,
        stream_epoch: u32,
        from_us: i64,
        to_us: i64,
    ) -> Result<(u64, u64), StoreError> {
        let table = table(data_type);
        let time = |micros: i64| format!("fromUnixTimestamp64Micro({micros}, 'UTC')");
        let (from, to) = (time(from_us), time(to_us));
        // Neighbours further away than a day are not looked for: it would be reading the whole table.
        let question = format!(
            "SELECT minOrNullIf(stream_seq, inside), maxOrNullIf(stream_seq, timestamp < {from}) + 1, \
             maxOrNullIf(stream_seq, inside), minOrNullIf(stream_seq, timestamp >= {to}) - 1 \
             FROM (SELECT timestamp, stream_seq, timestamp >= {from} AND timestamp < {to} AS inside FROM `{table}` \
             WHERE stream_epoch = {stream_epoch} AND timestamp >= {from} - INTERVAL 1 DAY AND timestamp < {to} + INTERVAL 1 DAY)"
        );
        let found = self
            .client
            .query_raw(&question)
            .fetch_one::<(Option<u64>, Option<u64>, Option<u64>, Option<i64>)>();
        let (first, behind_before, last, ahead_of_after) =
            self.ask(&format!("find the sequences of a time in {table}"), found).await?;
        let ahead_of_after = ahead_of_after.and_then(|sequence| u64::try_from(sequence).ok());
        let from = [first, behind_before].into_iter().flatten().min().unwrap_or(1);
        Ok((from, last.max(ahead_of_after).unwrap_or(u64::MAX)))
    }

    fn bounded(&self, question: &str) -> clickhouse::query::Query {
        self.client
            .query_raw(question)
            .with_setting("max_bytes_before_external_group_by", MEMORY_BYTES_MAX)
            .with_setting("max_bytes_before_external_sort", MEMORY_BYTES_MAX)
    }
}

/// What of a hole nothing declares: it may be declared by its ids, or by the time between its neighbours.
fn left_of(hole: &Hole, declared: &[Declared]) -> Vec<Hole> {
    let by_time = |(_, _, from, to): &Declared| match (from, to) {
        (Some(from), Some(to)) => *from <= hole.to_us && *to >= hole.from_us,
        _ => false,
    };
    if declared.iter().any(|gap| gap.0.is_none() && by_time(gap)) {
        return Vec::new();
    }
    let mut by_ids: Vec<(u64, u64)> =
        declared.iter().filter_map(|gap| Some((gap.0?, gap.1.unwrap_or(u64::MAX)))).collect();
    by_ids.sort_unstable();
    let (mut next, mut left) = (hole.from_id, Vec::new());
    for (from, to) in by_ids.into_iter().filter(|(from, _)| *from <= hole.to_id) {
        if to < next {
            continue;
        }
        if from > next {
            left.push(Hole { from_id: next, to_id: from - 1, ..hole.clone() });
        }
        next = to.saturating_add(1);
    }
    if next <= hole.to_id {
        left.push(Hole { from_id: next, ..hole.clone() });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_what_neither_ids_nor_times_declare() {
        let hole = |from_id, to_id| Hole {
            exchange: "binance".to_owned(),
            market_type: "spot".to_owned(),
            symbol: "BTC-USDT".to_owned(),
            from_id,
            to_id,
            from_us: 100,
            to_us: 200,
        };
        let ids = |from, to| (Some(from), Some(to), None, None);
        let left = |declared: &[Declared]| left_of(&hole(10, 20), declared);
        assert_eq!(left(&[]), [hole(10, 20)]);
        assert_eq!(left(&[ids(5, 25)]), []);
        assert_eq!(left(&[ids(16, 20), ids(10, 15)]), []);
        assert_eq!(left(&[ids(12, 14)]), [hole(10, 11), hole(15, 20)]);
        assert_eq!(left(&[ids(12, 14), ids(13, 18), ids(30, 40)]), [hole(10, 11), hole(19, 20)]);
        assert_eq!(left(&[(None, None, Some(150), Some(160))]), []);
        assert_eq!(left(&[(None, None, Some(201), Some(260))]), [hole(10, 20)]);
        assert_eq!(left(&[(Some(10), None, None, None)]), [], "open at its end");
    }
}
