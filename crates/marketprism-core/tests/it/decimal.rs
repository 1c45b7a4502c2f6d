//! Decimals: text in, text out, nothing lost between.

use marketprism_core::Decimal;
use proptest::prelude::*;

fn parse(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn texts_keep_their_digits() {
    for text in [
        "0",
        "0.0",
        "1",
        "-1",
        "2683.80000000",
        "0.00240000",
        "0.000000000000000001",
        "83434.40",
        "-0.00000523",
        "123456789012.00000000",
        "99999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "1844674407370955161.7",
        "0.100000000000000000",
    ] {
        assert_eq!(parse(text).to_string(), text);
        let json = format!("\"{text}\"");
        let value: Decimal = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
    }
}

#[test]
fn exponents_are_accepted() {
    for (text, plain) in [
        ("1.0e3", "1000"),
        ("6.563e-5", "0.00006563"),
        ("3.0e6", "3000000"),
        ("2E+2", "200"),
        ("0e-30", "0.000000000000000000"),
        ("1.50e1", "15.0"),
        ("1000000000e-20", "0.000000000010000000"),
    ] {
        assert_eq!(parse(text), parse(plain), "{text}");
        assert_eq!(parse(text).to_string(), plain, "{text}");
    }
}

#[test]
fn what_is_no_decimal_is_refused_with_its_text() {
    for text in [
        "",
        "-",
        ".",
        ".5",
        "5.",
        "+1",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "1e",
        "1e999",
        "1.e3",
        "1,5",
        " 1",
        "1 ",
        "0x10",
        "1.2.3",
        "--1",
        "1e1e1",
        "１",
        // Nineteen decimals, 10^20, and more significant digits than 96 bits hold.
        "0.0000000000000000001",
        "100000000000000000000",
        "1e20",
        "92345678901234567890.1234567891",
        "340282366920938463463374607431768211456",
    ] {
        let error = Decimal::parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.text, text);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(Decimal::parse(&[b'9'; 5000]).unwrap_err().text.len() <= 64);
    assert!(serde_json::from_str::<Decimal>("1.5").unwrap_err().to_string().contains("decimal in a string"));
}

#[test]
fn nineteenth_decimal_may_be_zero() {
    assert_eq!(parse("1.5000000000000000000").to_string(), "1.500000000000000000");
}

#[test]
fn arithmetic_is_exact_or_absent() {
    assert_eq!(parse("0.1").checked_add(parse("0.20")).unwrap(), parse("0.30"));
    assert_eq!(parse("0.01").checked_mul(parse("12.5")).unwrap(), parse("0.125"));
    assert_eq!(parse("99999999999999999999").checked_add(parse("1")), None);
    assert_eq!(parse("10000000000").checked_mul(parse("10000000000")), None);
}

proptest! {
    #[test]
    fn any_digits_round_trip(whole in 0u64..=999_999_999_999, fraction in "[0-9]{0,16}", negative: bool) {
        let sign = if negative { "-" } else { "" };
        let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
        let value = parse(&text);
        let zero = whole == 0 && fraction.bytes().all(|digit| digit == b'0');
        let expected = if zero { text.trim_start_matches('-') } else { &text };
        prop_assert_eq!(value.to_string(), expected);
        // The table's integer says the same value.
        prop_assert_eq!(Decimal::from_units(value.units()).unwrap(), value);
        prop_assert_eq!(value.units(), units_by_hand(&text));
    }

    #[test]
    fn order_is_that_of_the_units(a in -1_000_000_000i128..1_000_000_000, b in -1_000_000_000i128..1_000_000_000, scale in 0u32..6, other in 0u32..6) {
        let (a, b) = (Decimal::new(a, scale).unwrap(), Decimal::new(b, other).unwrap());
        prop_assert_eq!(a.cmp(&b), a.units().cmp(&b.units()));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        // What is accepted is ASCII, and prints as a decimal again.
        if let Ok(value) = Decimal::parse(&bytes) {
            prop_assert!(bytes.is_ascii());
            prop_assert_eq!(parse(&value.to_string()), value);
        }
    }

    #[test]
    fn almost_decimals_never_panic_and_never_lie(text in "-?[0-9]{0,30}(\\.[0-9]{0,22})?([eE][-+]?[0-9]{0,3})?") {
        if let Ok(value) = Decimal::parse(text.as_bytes()) {
            prop_assert_eq!(parse(&value.to_string()), value);
        }
    }
}

/// Text to units of 10^-18 by moving the point, with nothing in common with the code under test.
fn units_by_hand(text: &str) -> i128 {
    let negative = text.starts_with('-');
    let (whole, fraction) =
        text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
    let units: i128 = format!("{whole}{fraction:0<18}").parse().unwrap();
    if negative { -units } else { units }
}

#[test]
fn what_an_exchange_calculated_is_rounded_half_to_even() {
    let rounded = |text: &str| Decimal::parse_rounded(text.as_bytes()).map(|decimal| decimal.to_string());
    for (text, expected) in [
        ("40457299.999999999999974070668", "40457299.999999999999974071"),
        ("-4.739622041017375e-7", "-0.000000473962204102"),
        ("0.0000000000000000005", "0.000000000000000000"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("1.50", "1.50"),
        ("1.5e-60", "0"),
    ] {
        assert_eq!(rounded(text).unwrap(), expected, "{text}");
    }
    for text in ["", "1.", ".5", "1.0e99", "NaN", "+1.0000000000000000001", "1.0000000000000000000x"] {
        assert_eq!(rounded(text).unwrap_err(), Decimal::parse(text.as_bytes()).unwrap_err(), "{text}");
    }
}
