//! `lsr_top_position` and `lsr_all_account`: long/short ratios, which come from different endpoints.

use std::borrow::Cow;

use super::fields::{InvalidField, message, not_negative_if_told, positive};
use crate::decimal::Decimal;

macro_rules! long_short_ratio {
    ($(#[$meta:meta])* $name:ident) => {
        message! {
            $(#[$meta])*
            $name is $name {
                /// Long divided by short.
                long_short_ratio: Decimal,
                /// Share of the longs, 0 to 1.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                long_ratio: Option<Decimal>,
                /// Share of the shorts, 0 to 1.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                short_ratio: Option<Decimal>,
                /// The period it is taken over, in the exchange's word, such as `5m`.
                #[serde(borrow)]
                period: Cow<'a, str>,
            }
        }

        impl $name<'_> {
            pub(super) fn validate(&self) -> Result<(), InvalidField> {
                positive("long_short_ratio", self.long_short_ratio)?;
                not_negative_if_told("long_ratio", self.long_ratio)?;
                not_negative_if_told("short_ratio", self.short_ratio)?;
                if self.period.is_empty() {
                    return Err(InvalidField::new("period", &self.period, "is empty"));
                }
                Ok(())
            }
        }
    };
}

long_short_ratio! {
    /// Long/short ratio of the top traders' positions.
    LsrTopPosition
}
long_short_ratio! {
    /// Long/short ratio of all accounts.
    LsrAllAccount
}
