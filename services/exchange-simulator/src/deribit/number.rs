//! Numbers as Deribit writes them: JSON numbers, never strings. Prices and quantities come as plain decimal text
//! (`units.rs`), so the digits on the wire are those of the ledger.
//!
//! The exchange writes the shorter of two forms, and falls back to the plain one on a tie: `8450.0`, `1.0e3`,
//! `1.0002e6`, `1.423e-4`. Whole numbers also come without a point (`2700`), for the same field.

use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Appends `plain` (`-12.340`) in the shorter of the two float forms (`-12.34`).
pub(crate) fn push_float(out: &mut String, plain: &str) {
    let Parts { negative, whole, fraction } = Parts::of(plain);
    if negative {
        out.push('-');
    }
    if whole.is_empty() && fraction.is_empty() {
        out.push_str("0.0");
        return;
    }
    let point = |text: &str, rest: &str| {
        format!("{}.{}", if text.is_empty() { "0" } else { text }, if rest.is_empty() { "0" } else { rest })
    };
    let usual = point(whole, fraction);
    let scientific = scientific(whole, fraction);
    out.push_str(if scientific.len() < usual.len() { &scientific } else { &usual });
}

/// Appends `plain` without a point when it is whole, else as [`push_float`] does.
pub(crate) fn push_shortest(out: &mut String, plain: &str) {
    let Parts { negative, whole, fraction } = Parts::of(plain);
    if !fraction.is_empty() {
        push_float(out, plain);
        return;
    }
    if negative && !whole.is_empty() {
        out.push('-');
    }
    out.push_str(if whole.is_empty() { "0" } else { whole });
}

/// A number inside an object that serde writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number(String);

impl Number {
    /// The shorter of the two float forms of plain decimal text.
    pub(crate) fn float(plain: &str) -> Self {
        let mut text = String::with_capacity(plain.len() + 2);
        push_float(&mut text, plain);
        Self(text)
    }

    /// Without a point when it is whole.
    pub(crate) fn shortest(plain: &str) -> Self {
        let mut text = String::with_capacity(plain.len() + 2);
        push_shortest(&mut text, plain);
        Self(text)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Digits before and after the point, without the zeros that say nothing.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Parts<'a> {
    fn of(plain: &'a str) -> Self {
        let (negative, digits) = plain.strip_prefix('-').map_or((false, plain), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        Self { negative, whole: whole.trim_start_matches('0'), fraction: fraction.trim_end_matches('0') }
    }
}

/// `1.0002e6` of `1000200`; the digits are not all zero.
fn scientific(whole: &str, fraction: &str) -> String {
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let leading_zeros = digits.len() - significant.len();
    // The first significant digit stands so many places left of the point.
    let exponent = i64::try_from(whole.len()).unwrap_or(0) - i64::try_from(leading_zeros).unwrap_or(0) - 1;
    let significant = significant.trim_end_matches('0');
    let (first, rest) = significant.split_at(significant.len().min(1));
    format!("{first}.{}e{exponent}", if rest.is_empty() { "0" } else { rest })
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn the_shorter_form_wins_and_the_plain_one_on_a_tie() {
        for (plain, wire) in [
            ("0", "0.0"),
            ("0.000", "0.0"),
            ("10", "10.0"),
            ("100", "100.0"),
            ("1000", "1.0e3"),
            ("1000200", "1.0002e6"),
            ("3000000.0", "3.0e6"),
            ("186520", "186520.0"),
            ("8450", "8450.0"),
            ("77023.50", "77023.5"),
            ("0.0001423", "1.423e-4"),
            ("0.00813229", "0.00813229"),
            ("0.0645", "0.0645"),
            ("-0.00005149", "-5.149e-5"),
        ] {
            assert_eq!(serde_json::to_string(&Number::float(plain)).unwrap(), wire);
            let read: f64 = wire.parse().unwrap();
            assert!((read - plain.parse::<f64>().unwrap()).abs() < f64::EPSILON, "{plain} {wire}");
        }
    }

    #[test]
    fn whole_numbers_can_come_without_a_point() {
        let shortest = |plain| serde_json::to_string(&Number::shortest(plain)).unwrap();
        assert_eq!(shortest("2700"), "2700");
        assert_eq!(shortest("2700.00"), "2700");
        assert_eq!(shortest("0"), "0");
        assert_eq!(shortest("0.2160"), "0.216");
    }
}
