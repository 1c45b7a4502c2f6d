//! How fast something advances, and what the processes that work at it use meanwhile, from `/proc`.

use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::{figure, rate};

/// No run is as slow as this.
const DEADLINE: Duration = Duration::from_secs(600);

/// What was seen between the first tenth and the end: starting is not what is sustained.
pub(crate) struct Watched {
    rows: u64,
    elapsed: Duration,
    processes: Vec<Used>,
}

struct Used {
    name: &'static str,
    cpu_micros: u64,
    resident_bytes_peak: u64,
}

impl Watched {
    /// Watches until `progress` says `count`; it is asked again at once.
    pub(crate) async fn until(
        count: u64,
        processes: &[(&'static str, u32)],
        mut progress: impl AsyncFnMut() -> u64,
    ) -> Self {
        let used = || processes.iter().map(|(name, pid)| Used::of(name, *pid)).collect::<Vec<_>>();
        let started = Instant::now();
        let mut begun: Option<(u64, Instant, Vec<Used>)> = None;
        loop {
            let rows = progress().await;
            assert!(started.elapsed() < DEADLINE, "{rows} of {count} after {DEADLINE:?}");
            match &begun {
                None if rows >= count / 10 => {
                    assert!(rows < count, "too few messages: all were there at once");
                    begun = Some((rows, Instant::now(), used()));
                }
                Some((first, began, before)) if rows >= count => {
                    let elapsed = began.elapsed();
                    let mut processes = used();
                    for (now, before) in processes.iter_mut().zip(before) {
                        now.cpu_micros -= before.cpu_micros;
                    }
                    return Self { rows: rows - first, elapsed, processes };
                }
                _ => {}
            }
        }
    }

    pub(crate) fn print(&self, what: &str, limit: Option<u64>) {
        figure(what, rate(self.rows, self.elapsed), "rows/s", limit);
        for Used { name, cpu_micros, resident_bytes_peak } in &self.processes {
            figure(&format!("{what}: {name} CPU a row"), cpu_micros * 1_000 / self.rows, "ns", None);
            figure(&format!("{what}: {name} RSS peak"), resident_bytes_peak >> 20, "MiB", None);
        }
    }
}

impl Used {
    fn of(name: &'static str, pid: u32) -> Self {
        let process = Process::new(i32::try_from(pid).unwrap()).unwrap();
        let stat = process.stat().unwrap();
        let resident_kib_peak = process.status().unwrap().vmhwm.unwrap_or_default();
        Self {
            name,
            cpu_micros: (stat.utime + stat.stime) * 1_000_000 / procfs::ticks_per_second(),
            resident_bytes_peak: resident_kib_peak << 10,
        }
    }
}
