//! Arbitrary traffic for `okx_swap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketprism_fuzz::session("okx_swap", bytes));
