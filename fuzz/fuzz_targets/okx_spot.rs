//! Arbitrary traffic for `okx_spot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketprism_fuzz::session("okx_spot", bytes));
