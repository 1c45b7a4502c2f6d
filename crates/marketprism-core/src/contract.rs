//! What one contract is worth, and what a number of contracts is in base units. Where it trades is
//! [`crate::Instrument`]; how an exchange writes quantities is its session's business.

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;

/// What a contract's size is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContractUnit {
    /// Base units: a linear contract, such as 0.01 BTC (OKX `BTC-USDT-SWAP`).
    Base,
    /// Quote units: an inverse contract, such as 100 USD (OKX `BTC-USD-SWAP`), 10 USD (Deribit `BTC-PERPETUAL`).
    Quote,
}

/// The size of one contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Contract {
    /// How much one contract is, above zero.
    pub size: Decimal,
    /// Of what.
    pub unit: ContractUnit,
}

impl Contract {
    /// Base units of so many contracts at a price: exact for a linear contract, rounded to 18 decimals for an inverse
    /// one. `None` where the price is zero or the result does not fit.
    #[must_use]
    pub fn base_of_contracts(&self, contracts: Decimal, price: Decimal) -> Option<Decimal> {
        self.base_of_amount(contracts.checked_mul(self.size)?, price)
    }

    /// Base units of an amount in the contract's unit at a price (Deribit writes quantities so). `None` as above.
    #[must_use]
    pub fn base_of_amount(&self, amount: Decimal, price: Decimal) -> Option<Decimal> {
        match self.unit {
            ContractUnit::Base => Some(amount),
            ContractUnit::Quote => amount.over(price),
        }
    }

    /// Contracts in an amount in the contract's unit. `None` where the size is zero or the result does not fit.
    #[must_use]
    pub fn contracts_of_amount(&self, amount: Decimal) -> Option<Decimal> {
        amount.over(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn linear_contracts_are_exact() {
        let contract = Contract { size: decimal("0.01"), unit: ContractUnit::Base };
        let base = contract.base_of_contracts(decimal("7.69"), decimal("83725.8")).unwrap();
        assert_eq!(base.to_string(), "0.0769");
    }

    #[test]
    fn inverse_contracts_are_rounded_to_the_tables_scale() {
        let contract = Contract { size: decimal("10"), unit: ContractUnit::Quote };
        let base = contract.base_of_amount(decimal("8450.0"), decimal("76917.5")).unwrap();
        assert_eq!(base.to_string(), "0.109857964702440927");
        assert_eq!(contract.contracts_of_amount(decimal("8450.0")).unwrap(), decimal("845"));
        assert_eq!(contract.base_of_contracts(decimal("845"), decimal("76917.5")), Some(base));
        assert_eq!(contract.base_of_amount(decimal("1"), Decimal::ZERO), None);
    }
}
