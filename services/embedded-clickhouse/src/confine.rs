//! Confines every thread that enters the engine: it opens files of its data folder only, and makes no socket and no
//! process.
//!
//! The engine's own grants (`users_xml.rs`) refuse what they know: sources, table engines, backups. They do not know
//! everything: the function `file`, disks declared inside a table, dictionaries, `EmbeddedRocksDB`, file names in
//! settings; and SQL text can be put together at run time (`format(Values, 'a String', concat(…))`), where no reading of
//! names helps. So the kernel refuses the rest: Landlock for files, seccomp for sockets and processes.
//!
//! Both hold for one thread and the threads that it starts. The engine's own threads start from those that call it, so
//! confining each caller confines them all; the rest of this process keeps its sockets.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::config::Source;

/// Linux 5.19: before it, no file can be moved or linked from one folder into another, which the engine does with parts.
const LANDLOCK_LEAST: ABI = ABI::V2;

/// What the engine reads of the machine: its size and load, time zones, randomness. Nothing of `/proc/self`: the
/// environment with its secrets is there.
const READABLE: &[&str] = &[
    "/proc/meminfo",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/uptime",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/null",
    "/dev/urandom",
];

/// What finding and trusting other machines reads.
const READABLE_FOR_NETWORK: &[&str] =
    &["/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/ssl", "/usr/share/ca-certificates"];

/// What the engine says without sockets; names are looked up over one, too.
const NO_SOCKET: &[&str] = &["Connection refused", "Not found address of host", "DNS error"];

/// Why a thread cannot be confined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    /// The kernel has no Landlock, or one that is too old or switched off.
    #[error(
        "this kernel cannot confine the engine to its folder (it needs Landlock of Linux 5.19 or later); with allow_remote: true, set allow_outside: [ALL] to start without it"
    )]
    Unsupported(#[source] Option<landlock::RulesetError>),
    /// The kernel refused the rules for files.
    #[error("failed to confine the engine to its folder")]
    Files(#[source] landlock::RulesetError),
    /// No descriptor is left for one more thread.
    #[error("failed to copy the rules for files")]
    Copy(#[source] std::io::Error),
    /// The kernel refused the rules for sockets and processes.
    #[error("failed to keep the engine from the network")]
    Calls(#[source] seccompiler::Error),
}

/// The rules of this process, which has one engine.
static RULES: OnceLock<Rules> = OnceLock::new();

thread_local! {
    static CONFINED: Cell<bool> = const { Cell::new(false) };
}

#[derive(Debug)]
struct Rules {
    /// None where files are allowed.
    files: Option<RulesetCreated>,
    calls: BpfProgram,
    network: bool,
}

/// Sets the rules, once, before the engine starts; `allowed` takes some of them away.
///
/// On a kernel without Landlock the engine's own grants are what is left for files. That is enough for a laptop, whose engine
/// answers nobody else, and it is logged; an engine that `serves_others` does not start.
pub(crate) fn prepare(data_path: &Path, allowed: &[Source], serves_others: bool) -> Result<(), ConfineError> {
    if allowed.contains(&Source::All) {
        return Ok(());
    }
    let network = allowed.iter().any(|source| source.is_network());
    let files = if allowed.iter().any(|source| source.is_files()) {
        None
    } else {
        match files(data_path, network) {
            Ok(files) => Some(files),
            Err(error @ ConfineError::Unsupported(_)) if !serves_others => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "files are kept from statements by the engine's grants alone"
                );
                None
            }
            Err(error) => return Err(error),
        }
    };
    let calls = calls(network).map_err(|error| ConfineError::Calls(error.into()))?;
    drop(RULES.set(Rules { files, calls, network }));
    Ok(())
}

/// Whether an error of the engine comes from what the kernel refuses to it.
pub(crate) fn is_refusal(text: &str) -> bool {
    RULES.get().is_some_and(|rules| {
        (rules.files.is_some() && text.contains("Permission denied"))
            || (!rules.network && NO_SOCKET.iter().any(|error| text.contains(error)))
    })
}

/// Confines the calling thread, once. Every thread does so before its first call into the engine.
pub(crate) fn enter() -> Result<(), ConfineError> {
    let Some(rules) = RULES.get() else { return Ok(()) };
    if CONFINED.get() {
        return Ok(());
    }
    if let Some(files) = &rules.files {
        let status =
            files.try_clone().map_err(ConfineError::Copy)?.restrict_self().map_err(ConfineError::Files)?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err(ConfineError::Unsupported(None));
        }
    }
    seccompiler::apply_filter(&rules.calls).map_err(ConfineError::Calls)?;
    CONFINED.set(true);
    Ok(())
}

fn files(data_path: &Path, network: bool) -> Result<RulesetCreated, ConfineError> {
    let unsupported = |error| ConfineError::Unsupported(Some(error));
    let readable = READABLE.iter().chain(if network { READABLE_FOR_NETWORK } else { &[] });
    // Truncating by path is refused where the kernel knows it (Linux 6.2).
    let all = AccessFs::from_all(ABI::V3);
    let read = AccessFs::from_read(LANDLOCK_LEAST) & !AccessFs::Execute;
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LANDLOCK_LEAST))
        .map_err(unsupported)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .map_err(unsupported)?
        .create()
        .map_err(unsupported)?
        .add_rules(path_beneath_rules(readable, read))
        .and_then(|rules| rules.add_rules(path_beneath_rules([data_path], all & !AccessFs::Execute)))
        .map_err(ConfineError::Files)
}

fn calls(network: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    // A ring of the kernel does calls that no filter sees.
    let mut refused = vec![libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace, libc::SYS_io_uring_setup];
    if !network {
        refused.extend([libc::SYS_socket, libc::SYS_connect]);
    }
    let rules: BTreeMap<i64, _> = refused.into_iter().map(|call| (call, Vec::new())).collect();
    // Most clients within the engine give up at this error, and try any other again for minutes.
    let refuse = SeccompAction::Errno(libc::ECONNREFUSED.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64)?.try_into()
}
