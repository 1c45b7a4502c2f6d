//! The ClickHouse engine behind its HTTP interface, for laptops, CI and tests.

fn main() {}
