//! `trades`: the only place where a `trade` message becomes columns.

use marketprism_core::Decimal;
use marketprism_core::message::Trade;

use super::table_columns;

table_columns! {
    /// The table `trades`.
    Trades from Trade as message {
        trade_id: &str = &message.trade_id,
        price: i128 = message.price.units(),
        quantity: i128 = message.quantity.units(),
        side: &str = message.side.as_str(),
        is_maker: Option<bool> = message.is_maker_buyer,
        contracts: Option<i128> = message.contracts.map(Decimal::units),
        trade_sequence: Option<u64> = message.trade_sequence,
        first_trade_id: Option<u64> = message.first_trade_id,
        last_trade_id: Option<u64> = message.last_trade_id,
    }
}
