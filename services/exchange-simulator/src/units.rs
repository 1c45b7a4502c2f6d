//! Whole numbers of a fixed decimal scale, and their text. All money in the simulator is such a number.

use std::cmp::Ordering;

use compact_str::{CompactString, format_compact};

/// Writes `units` of 10^-`decimals` the way the exchange does: every decimal place present.
///
/// `decimals` above 18 is cut to 18: 10^18 is the largest power of ten that an `i64` holds.
pub(crate) fn push_decimal(out: &mut String, units: i64, decimals: u32) {
    let decimals = decimals.min(18);
    let scale = 10_u64.pow(decimals);
    if units < 0 {
        out.push('-');
    }
    let units = units.unsigned_abs();
    push_integer(out, units / scale);
    if decimals > 0 {
        out.push('.');
        let fraction = units % scale;
        let mut place = scale / 10;
        while place > 0 {
            out.push(char::from(b'0' + u8::try_from(fraction / place % 10).unwrap_or(0)));
            place /= 10;
        }
    }
}

/// The same as a value of its own.
pub(crate) fn decimal(units: i64, decimals: u32) -> CompactString {
    let mut text = String::with_capacity(24);
    push_decimal(&mut text, units, decimals);
    CompactString::from(text)
}

/// A decimal's text without zeros that say nothing: `83726` for `83726.00`.
pub(crate) fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Writes an id or a time without a temporary allocation.
pub(crate) fn push_integer(out: &mut String, value: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// A decimal number in whole units of 10^-`decimals`, for the few sums that text does not carry. Ordered only among
/// numbers of equal decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Units {
    units: i128,
    decimals: u32,
}

/// Decimals of a quotient, those of the pipeline.
const QUOTIENT_DECIMALS: u32 = 18;

impl Units {
    pub(crate) fn new(units: i128, decimals: u32) -> Self {
        Self { units, decimals }
    }

    /// Reads a plain decimal such as `-12.50`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
        let units = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { units, decimals: u32::try_from(fraction.len()).ok()? })
    }

    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let units = self.units.checked_mul(other.units)?;
        Some(Self { units, decimals: self.decimals + other.decimals })
    }

    /// The quotient of two numbers that are not negative, to 18 decimals, halves to even. `None` for division by
    /// zero and beyond 128 bits.
    pub(crate) fn over(self, divisor: Self) -> Option<Self> {
        let scale = (QUOTIENT_DECIMALS + divisor.decimals).checked_sub(self.decimals)?;
        let dividend = self.units.checked_mul(10_i128.checked_pow(scale)?)?;
        let (quotient, rest) = (dividend.checked_div(divisor.units)?, dividend.checked_rem(divisor.units)?);
        let up = match (rest * 2).cmp(&divisor.units) {
            Ordering::Less => 0,
            Ordering::Equal => quotient % 2,
            Ordering::Greater => 1,
        };
        Some(Self { units: quotient + up, decimals: QUOTIENT_DECIMALS })
    }

    /// The text without trailing zeros: `0.0769`, `845`.
    pub(crate) fn plain(self) -> CompactString {
        let sign = if self.units < 0 { "-" } else { "" };
        let width = usize::try_from(self.decimals).unwrap_or(0) + 1;
        let digits = format!("{:0width$}", self.units.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() + 1 - width);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format_compact!("{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Units, decimal};

    #[test]
    fn every_decimal_place_is_written() {
        assert_eq!(decimal(7_665_000_000_000, 8), "76650.00000000");
        assert_eq!(decimal(16, 3), "0.016");
        assert_eq!(decimal(8_343_440, 2), "83434.40");
        assert_eq!(decimal(42, 0), "42");
        assert_eq!(decimal(-5, 2), "-0.05");
    }

    #[test]
    fn numbers_are_read_and_written_plainly() {
        for (text, plain) in
            [("0.500", "0.5"), ("-12.0", "-12"), ("83726", "83726"), ("0.00", "0"), ("-0.05", "-0.05")]
        {
            assert_eq!(Units::parse(text).unwrap().plain(), plain);
        }
        for text in ["", ".", "1e3", "1.-2", "a"] {
            assert_eq!(Units::parse(text), None, "{text}");
        }
        let over = |a, b| Units::parse(a).unwrap().over(Units::parse(b).unwrap()).map(Units::plain);
        assert_eq!(over("2", "3").as_deref(), Some("0.666666666666666667"));
        assert_eq!(over("1", "0.0"), None);
    }
}
