//! Development commands: ci, tidy, docs, demo, bench.

fn main() {}
