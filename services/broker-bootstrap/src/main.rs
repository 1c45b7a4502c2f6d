//! Owns the JetStream streams: creates and changes them, never destructively.

fn main() {}
