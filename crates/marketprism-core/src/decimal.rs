//! Exact decimals: prices, quantities, rates. Never a float.
//!
//! The value is a `rust_decimal` (96-bit integer and a scale, 16 bytes, `Copy`), which keeps the digits an exchange
//! sent: `"0.00240000"` prints as `"0.00240000"`. Bounds are those of the tables' `Decimal(38, 18)`: at most 18
//! decimals, below 10^20, and at most 28 significant digits. What does not fit is refused with its text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Decimals after the point in the tables: `Decimal(38, 18)`.
pub const SCALE: u32 = 18;
/// The longest text that is looked at; exchanges send at most about 30 characters.
const TEXT_BYTES_MAX: usize = 64;
/// As many digits fit a u64, and as many decimals the tables.
const PLAIN_BYTES_MAX: usize = 19;
/// 2^96 - 1: the largest integer the representation holds.
const MANTISSA_MAX: u128 = (1 << 96) - 1;
/// 10^20: the first integer that `Decimal(38, 18)` cannot hold.
const INTEGER_LIMIT: u128 = 100_000_000_000_000_000_000;

/// An exact decimal that keeps its digits.
///
/// Equality, order and hash are by value: `1.0 == 1.00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(rust_decimal::Decimal);

/// A text that is no decimal we can keep exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {reason}")]
pub struct DecimalError {
    /// The text as given, cut at 64 bytes.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(rust_decimal::Decimal::ZERO);

    /// Parses `[-]digits[.digits][e[±]digits]`.
    ///
    /// # Errors
    /// Empty or other text (`NaN`, `.5`, `+1`), more than 18 decimals, or a value that needs more than 96 bits or
    /// reaches 10^20: each with the text.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        if let Some(decimal) = Self::scan_plain(text) {
            return Ok(decimal);
        }
        Self::scan(text).map_err(|reason| DecimalError {
            text: String::from_utf8_lossy(text.get(..TEXT_BYTES_MAX).unwrap_or(text)).into_owned(),
            reason,
        })
    }

    /// Parses like [`Self::parse`], and rounds half to even what has more than 18 decimals: for values that the exchange
    /// itself calculated, such as `1.423032929843748e-4` or `40457299.999999999999974070668`.
    ///
    /// # Errors
    /// As [`Self::parse`], but for the decimals.
    pub fn parse_rounded(text: &[u8]) -> Result<Self, DecimalError> {
        Self::parse(text).or_else(|error| Self::round(text).ok_or(error))
    }

    fn round(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok().filter(|text| text.len() <= TEXT_BYTES_MAX)?;
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (is_negative, digits) = digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.')?;
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let mantissa: u128 = format!("{whole}{fraction}").parse().ok()?;
        let decimals = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let excess = u32::try_from(decimals).ok()?.checked_sub(SCALE)?;
        // A divisor beyond every mantissa leaves nothing.
        let Some(divisor) = 10_u128.checked_pow(excess) else { return Some(Self::ZERO) };
        let (kept, rest, half) = (mantissa / divisor, mantissa % divisor, divisor / 2);
        let is_up = rest > half || (rest == half && kept % 2 == 1 && excess > 0);
        let kept = kept + u128::from(is_up);
        Self::from_mantissa(is_negative, kept, i32::try_from(SCALE).ok()?).ok()
    }

    /// What exchanges send, `digits.digits` or `digits` short enough to fit every bound: several times a message, and
    /// twice a level. `None` leaves the text to [`Self::scan`].
    fn scan_plain(text: &[u8]) -> Option<Self> {
        if text.len() > PLAIN_BYTES_MAX {
            return None;
        }
        let mut mantissa: u64 = 0;
        let mut point = None;
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                // Nothing wraps: as many nines fit.
                b'0'..=b'9' => mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
                b'.' if point.is_none() => point = Some(at),
                _ => return None,
            }
        }
        let (whole, decimals) = point.map_or((text.len(), 0), |at| (at, text.len() - at - 1));
        if whole == 0 || (point.is_some() && decimals == 0) {
            return None;
        }
        let [lo, mid] = [0, 32].map(|shift| word(u128::from(mantissa), shift));
        Some(Self(rust_decimal::Decimal::from_parts(lo, mid, 0, false, u32::try_from(decimals).ok()?)))
    }

    fn scan(text: &[u8]) -> Result<Self, &'static str> {
        if text.len() > TEXT_BYTES_MAX {
            return Err("is too long for a decimal");
        }
        let (negative, digits) = match text.split_first() {
            None => return Err("is empty, not a decimal"),
            Some((b'-', rest)) => (true, rest),
            Some(_) => (false, text),
        };
        let mut mantissa: u128 = 0;
        let mut count: usize = 0;
        let mut point: Option<usize> = None;
        let mut exponent: i32 = 0;
        let mut bytes = digits.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|value| value.checked_add(u128::from(byte - b'0')))
                        .ok_or("has more digits than can be kept exactly")?;
                    count += 1;
                }
                b'.' if point.is_none() && count > 0 => point = Some(count),
                b'e' | b'E' if count > 0 && point != Some(count) => {
                    exponent = parse_exponent(bytes.as_slice())?;
                    break;
                }
                _ => return Err("is not a decimal"),
            }
        }
        if count == 0 || point == Some(count) {
            return Err("is not a decimal");
        }
        let decimals = point.map_or(0, |at| count - at);
        let scale = i32::try_from(decimals).map_err(|_| "is too long for a decimal")? - exponent;
        Self::from_mantissa(negative, mantissa, scale)
    }

    /// Builds mantissa × 10^-scale, dropping trailing zeros only where it would not fit otherwise.
    fn from_mantissa(negative: bool, mut mantissa: u128, mut scale: i32) -> Result<Self, &'static str> {
        const SCALE_MAX: i32 = SCALE as i32;
        while scale < 0 && mantissa != 0 {
            mantissa = mantissa.checked_mul(10).ok_or("does not fit Decimal(38, 18)")?;
            scale += 1;
        }
        if mantissa == 0 {
            scale = scale.clamp(0, SCALE_MAX);
        }
        while (scale > SCALE_MAX || mantissa > MANTISSA_MAX) && scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        if scale > SCALE_MAX {
            return Err("has more than 18 decimals");
        }
        if mantissa > MANTISSA_MAX {
            return Err("has more digits than can be kept exactly");
        }
        // Only large mantissas can reach 10^20, so the division is off the usual path.
        if mantissa >= INTEGER_LIMIT && mantissa / 10_u128.pow(scale.unsigned_abs()) >= INTEGER_LIMIT {
            return Err("does not fit Decimal(38, 18)");
        }
        let [lo, mid, hi] = [0, 32, 64].map(|shift| word(mantissa, shift));
        let negative = negative && mantissa != 0;
        Ok(Self(rust_decimal::Decimal::from_parts(lo, mid, hi, negative, scale.unsigned_abs())))
    }

    /// The value in units of 10^-18: what a `Decimal(38, 18)` column stores.
    #[must_use]
    pub fn units(self) -> i128 {
        // Cannot overflow: the value is below 10^20 and the scale at most 18.
        self.0.mantissa().saturating_mul(10_i128.pow(SCALE.saturating_sub(self.0.scale())))
    }

    /// From units of 10^-18, without trailing zeros. `None` where it needs more than 96 bits.
    #[must_use]
    pub fn from_units(units: i128) -> Option<Self> {
        let (mut mantissa, mut scale) = (units.unsigned_abs(), SCALE);
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        Self::from_mantissa(units < 0, mantissa, i32::try_from(scale).ok()?).ok()
    }

    /// mantissa × 10^-scale. `None` where it does not fit.
    #[must_use]
    pub fn new(mantissa: i128, scale: u32) -> Option<Self> {
        Self::from_mantissa(mantissa < 0, mantissa.unsigned_abs(), i32::try_from(scale).ok()?).ok()
    }

    /// The quotient, rounded to 18 decimals. `None` where the divisor is zero or it does not fit.
    #[must_use]
    pub fn over(self, divisor: Self) -> Option<Self> {
        let value = self.0.checked_div(divisor.0)?.round_dp(SCALE).normalize();
        Self::new(value.mantissa(), value.scale())
    }

    /// The integer before the scale is applied: `12.30` is 1230.
    #[must_use]
    pub const fn mantissa(self) -> i128 {
        self.0.mantissa()
    }

    /// Decimals after the point as sent: `12.30` has 2.
    #[must_use]
    pub const fn scale(self) -> u32 {
        self.0.scale()
    }

    /// True for zero of any scale.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// True above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0.is_sign_positive() && !self.0.is_zero()
    }

    /// True below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// Exact product, or `None` where it does not fit.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa().checked_mul(other.mantissa())?;
        Self::new(mantissa, self.scale() + other.scale())
    }

    /// Exact sum, or `None` where it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale().max(other.scale());
        let widen = |value: Self| value.mantissa().checked_mul(10_i128.checked_pow(scale - value.scale())?);
        Self::new(widen(self)?.checked_add(widen(other)?)?, scale)
    }

    /// Calls `with` with the text, which is built on the stack.
    fn with_text<R>(self, with: impl FnOnce(&str) -> R) -> R {
        let mut digits = itoa::Buffer::new();
        let digits = match u64::try_from(self.0.mantissa().unsigned_abs()) {
            Ok(short) => digits.format(short),
            Err(_) => digits.format(self.0.mantissa().unsigned_abs()),
        };
        let scale = self.0.scale() as usize;
        let mut text = Text::default();
        if self.is_negative() {
            text.push("-");
        }
        match digits.len().checked_sub(scale) {
            Some(point) if point > 0 => {
                let (whole, fraction) = digits.split_at(point);
                text.push(whole);
                if !fraction.is_empty() {
                    text.push(".");
                    text.push(fraction);
                }
            }
            _ => {
                text.push("0.");
                // At most 18 decimals, so at most 18 zeros.
                text.push("000000000000000000".get(digits.len()..scale).unwrap_or_default());
                text.push(digits);
            }
        }
        with(text.as_str())
    }
}

/// The 32 bits of `value` at `shift`.
const fn word(value: u128, shift: u32) -> u32 {
    ((value >> shift) & 0xffff_ffff) as u32
}

fn parse_exponent(text: &[u8]) -> Result<i32, &'static str> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    // Two digits: 10^99 and 10^-99 are far outside every bound already.
    if digits.is_empty() || digits.len() > 2 || !digits.iter().all(u8::is_ascii_digit) {
        return Err("has no usable exponent");
    }
    let value = digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    Ok(if negative { -value } else { value })
}

/// A text of at most 48 bytes: sign, "0.", 29 digits and padding fit.
struct Text {
    bytes: [u8; 48],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 48], len: 0 }
    }
}

impl Text {
    fn push(&mut self, part: &str) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + part.len()) {
            room.copy_from_slice(part.as_bytes());
            self.len += part.len();
        }
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse(text.as_bytes())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// From a JSON string only: a JSON number has passed through somebody's float.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal in a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                Decimal::parse(text.as_bytes()).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Exact decimal with the exchange's digits; at most 18 decimals, below 10^20.",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$"
        })
    }
}
