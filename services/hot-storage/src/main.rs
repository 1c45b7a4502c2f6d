//! JetStream messages in, hot ClickHouse rows out, each exactly once.

fn main() {}
