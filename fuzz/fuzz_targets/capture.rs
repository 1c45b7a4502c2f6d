//! Arbitrary bytes as a capture.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| marketprism_fuzz::capture(bytes));
