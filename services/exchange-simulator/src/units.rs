//! Whole numbers of a fixed decimal scale, and their text. All money in the simulator is such a number.

use compact_str::CompactString;

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

/// Writes an id or a time without a temporary allocation.
pub(crate) fn push_integer(out: &mut String, value: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(value));
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn every_decimal_place_is_written() {
        assert_eq!(decimal(7_665_000_000_000, 8), "76650.00000000");
        assert_eq!(decimal(16, 3), "0.016");
        assert_eq!(decimal(8_343_440, 2), "83434.40");
        assert_eq!(decimal(42, 0), "42");
        assert_eq!(decimal(-5, 2), "-0.05");
    }
}
