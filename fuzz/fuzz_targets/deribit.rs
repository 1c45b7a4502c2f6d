//! Arbitrary traffic for `deribit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketprism_fuzz::session("deribit", bytes));
