//! `liquidations`: the only place where a `liquidation` message becomes columns.

use marketprism_core::Decimal;
use marketprism_core::message::Liquidation;

use super::table_columns;

table_columns! {
    /// The table `liquidations`.
    Liquidations from Liquidation as message {
        side: &str = message.side.as_str(),
        price: i128 = message.price.units(),
        average_price: Option<i128> = message.average_price.map(Decimal::units),
        quantity: i128 = message.quantity.units(),
        contracts: Option<i128> = message.contracts.map(Decimal::units),
        status: Option<&str> = message.status.as_deref(),
    }
}
