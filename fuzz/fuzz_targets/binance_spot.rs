//! Arbitrary traffic for `binance_spot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketprism_fuzz::session("binance_spot", bytes));
