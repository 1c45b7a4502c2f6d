//! What each process uses, read from the kernel: CPU time and resident memory.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// CPU and memory of one process.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Usage {
    /// User and system time since its start, in milliseconds.
    pub(crate) cpu_milliseconds: u64,
    /// Resident memory in bytes.
    pub(crate) resident_bytes: u64,
    /// The most it ever was, in bytes.
    pub(crate) resident_bytes_peak: u64,
}

/// Kernel ticks a second as shown in /proc: fixed at 100 on Linux for every architecture.
const TICKS_PER_SECOND: u64 = 100;

impl Usage {
    /// `None` when the process is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; what follows the last one is numbers.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let ticks = fields.nth(11)?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let bytes = |field| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        Some(Self {
            cpu_milliseconds: ticks * 1000 / TICKS_PER_SECOND,
            resident_bytes: bytes("VmRSS:")?,
            resident_bytes_peak: bytes("VmHWM:")?,
        })
    }

    /// Per mille of one core since `earlier`, which was `elapsed` ago.
    pub(crate) fn cpu_permille_since(self, earlier: Self, elapsed: Duration) -> u64 {
        let spent = self.cpu_milliseconds.saturating_sub(earlier.cpu_milliseconds);
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        (spent * 1000).checked_div(elapsed).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_uses_memory() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(Usage::of(u32::MAX).is_none());
    }
}
