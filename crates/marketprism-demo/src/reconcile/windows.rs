//! Which rows of each table are compared: those of the messages between two points of the streams.

use std::collections::BTreeMap;

use super::Tier;
use crate::failure::Failure;
use crate::http::Http;

/// Tables that hold one row a message, each with the stream its messages come from.
pub const TABLES: [(&str, &str); 9] = [
    ("trades", "MARKET_DATA"),
    ("orderbooks", "ORDERBOOK_SNAP"),
    ("funding_rates", "MARKET_DATA"),
    ("open_interests", "MARKET_DATA"),
    ("liquidations", "MARKET_DATA"),
    ("lsr_top_positions", "MARKET_DATA"),
    ("lsr_all_accounts", "MARKET_DATA"),
    ("volatility_indices", "MARKET_DATA"),
    ("gaps", "MARKET_DATA"),
];

/// Epoch and sequence of a message.
type Position = (u32, u64);

/// The last message of each table.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions(BTreeMap<&'static str, Position>);

impl Positions {
    pub(super) async fn read(http: &Http, tier: &Tier) -> Result<Self, Failure> {
        let mut positions = BTreeMap::new();
        for (table, _) in TABLES {
            let sql = format!(
                "SELECT last.1, last.2 FROM (SELECT max((stream_epoch, stream_seq)) AS last FROM {}.{table})",
                tier.database
            );
            http.query(&tier.url, &sql, |line| {
                let position = line.split_once('\t').and_then(|(epoch, sequence)| {
                    Some((epoch.parse::<u32>().ok()?, sequence.parse::<u64>().ok()?))
                });
                positions.insert(table, position.unwrap_or_default());
            })
            .await?;
        }
        Ok(Self(positions))
    }

    fn of(&self, table: &str) -> Position {
        self.0.get(table).copied().unwrap_or_default()
    }
}

/// What lies after one point and not after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows<'a> {
    bounds: Option<(&'a Positions, &'a Positions)>,
}

impl<'a> Windows<'a> {
    pub(super) const ALL: Self = Self { bounds: None };

    pub(super) const fn between(after: &'a Positions, to: &'a Positions) -> Self {
        Self { bounds: Some((after, to)) }
    }

    /// The condition for the rows of a table.
    pub(super) fn condition(&self, table: &str) -> String {
        let Some((after, to)) = self.bounds else { return "true".to_owned() };
        let ((epoch_after, after), (epoch_to, to)) = (after.of(table), to.of(table));
        if epoch_after == epoch_to {
            // The form that the index of sequences helps with.
            return format!("stream_epoch = {epoch_to} AND stream_seq > {after} AND stream_seq <= {to}");
        }
        let row = "(stream_epoch, stream_seq)";
        format!("{row} > ({epoch_after}, {after}) AND {row} <= ({epoch_to}, {to})")
    }
}
