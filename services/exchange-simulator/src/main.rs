//! Speaks the exchanges' own protocols: deterministic, with faults and a ledger.

fn main() {}
