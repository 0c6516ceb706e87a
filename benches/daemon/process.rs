//! What a running process costs, as the system tells: CPU time, memory, system calls. Linux tells all of it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

/// CPU time of all threads so far.
pub(crate) fn cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Resident memory in megabytes, now and at most so far.
pub(crate) fn memory(pid: u32) -> [f64; 2] {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ["VmRSS:", "VmHWM:"].map(|key| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or(f64::NAN)
            / 1024.0
    })
}

/// Bytes read so far, by any call.
pub(crate) fn bytes_read(pid: u32) -> f64 {
    let counts = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar:"));
    read.and_then(|read| read.trim().parse().ok()).unwrap_or(f64::NAN)
}

/// Counts the system calls of a process and its threads, by `strace`.
pub(crate) struct Calls {
    strace: Child,
    trace: tempfile::NamedTempFile,
}

impl Calls {
    /// `None` where there is no strace.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let trace = tempfile::NamedTempFile::new().ok()?;
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-p", &pid.to_string(), "-o"]).arg(trace.path());
        Some(Self { strace: strace.spawn().ok()?, trace })
    }

    pub(crate) fn finish(mut self) -> f64 {
        let id = i32::try_from(self.strace.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        }
        let _ = self.strace.wait();
        let lines = fs::read_to_string(self.trace.path()).unwrap_or_default();
        let mut threads = BTreeSet::new();
        // What a thread was waiting in at the beginning was not called meanwhile, and what ends was counted when it began.
        let calls = lines.lines().filter(|line| {
            let waiting =
                ["<unfinished", "<detached", "restart_syscall"].iter().any(|mark| line.contains(mark));
            let first = threads.insert(line.split(' ').next().unwrap_or_default());
            line.contains('(') && !line.contains("resumed>") && !(first && waiting)
        });
        calls.count() as f64
    }
}
