//! What clients have not read yet. A message that was written may wait in the kernel for a client on a busy machine; whoever
//! compares what was sent with what arrived waits for it.

/// State of a socket in `/proc/net/tcp` while both ends are open.
const ESTABLISHED: &str = "01";

/// Bytes that the kernel holds between the simulator at this port and its clients on this machine, both ways.
pub(crate) async fn unread_bytes(port: u16) -> u64 {
    let mut unread = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A machine without one has no such sockets.
        let sockets = tokio::fs::read_to_string(table).await.unwrap_or_default();
        unread += sockets.lines().filter_map(|socket| waiting(socket, port)).sum::<u64>();
    }
    unread
}

/// Bytes that wait to be read at a socket of this port: `0: 0100007F:24E3 0100007F:B2C4 01 00000000:00000A3F …`.
///
/// Those that wait to be sent do not count: the kernel keeps them until they are acknowledged, which on an idle connection is
/// later than they are read. Where the receiver has no room, what it has not read counts.
fn waiting(socket: &str, port: u16) -> Option<u64> {
    let mut fields = socket.split_whitespace().skip(1);
    let (local, remote, state, queues) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_ours = |address: &str| {
        address.rsplit_once(':').and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok()) == Some(port)
    };
    if state != ESTABLISHED || !(is_ours(local) || is_ours(remote)) {
        return None;
    }
    let (_, receiving) = queues.split_once(':')?;
    u64::from_str_radix(receiving, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_other_ports_and_closed_ones_do_not_count() {
        let line = "   0: 0100007F:24E3 0100007F:B2C4 01 00000010:00000A3F 00:00000000 00000000  1000        0 12345 1";
        assert_eq!(waiting(line, 0x24e3), Some(0xa3f));
        assert_eq!(waiting(line, 0xb2c4), Some(0xa3f), "the client's end");
        assert_eq!(waiting(line, 0x4e3), None);
        assert_eq!(waiting(&line.replace(" 01 ", " 06 "), 0x24e3), None);
        assert_eq!(waiting("  sl  local_address rem_address   st tx_queue rx_queue", 1), None);
    }
}
