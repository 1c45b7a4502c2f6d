//! Free ports for servers that cannot choose one themselves and tell it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range from which the system takes the local ports of outgoing connections, so that none takes one between this
/// check and its use.
const FROM: u32 = 10_000;
const TO: u32 = 32_000;

/// A loopback port that nobody listens on; no other call in this process gets it too.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that start together begin at different places.
    let start = std::process::id().wrapping_mul(7_919);
    for _ in FROM..TO {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FROM + start.wrapping_add(step) % (TO - FROM)).expect("a port");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FROM} and {TO}");
}
