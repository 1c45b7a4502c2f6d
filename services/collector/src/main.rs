//! Exchange sockets in, NATS messages out.

fn main() {}
