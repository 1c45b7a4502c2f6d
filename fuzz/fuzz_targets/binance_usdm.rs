//! Arbitrary traffic for `binance_usdm`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketprism_fuzz::session("binance_usdm", bytes));
