//! A child process in a group of its own, and what `/proc` says about it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A child with its descendants. Killed, whole group, when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts the command in a new process group.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self { child, status: None })
    }

    /// Process id, which is also the group's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Exit status, if it ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Sends a signal to the whole group.
    pub fn signal(&self, signal: i32) {
        // Once reaped, the number may be someone else's.
        if self.status.is_none() {
            // SAFETY: plain system call on a group this value started and has not reaped.
            unsafe { libc::killpg(self.child.id() as i32, signal) };
        }
    }

    /// Waits for the end, at most so long.
    pub fn wait(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, then SIGKILL if five seconds were not enough.
    pub fn stop(&mut self) {
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            self.signal(signal);
            if self.wait(Duration::from_secs(5)).is_some() {
                break;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_none() {
            self.signal(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// The process and all its descendants.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut i = 0;
    while let Some(&pid) = all.get(i) {
        i += 1;
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
        }
    }
    all
}

/// User and system CPU time of the process tree so far, dead and reaped children included.
pub fn cpu_time(pid: u32) -> Duration {
    // SAFETY: sysconf only reads a constant.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    let ticks: u64 = tree(pid)
        .into_iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter_map(|stat| {
            // Fields 14–17 (utime, stime, cutime, cstime); the command's name before them may hold spaces.
            let rest = stat.rsplit_once(')')?.1;
            Some(
                rest.split_whitespace()
                    .skip(11)
                    .take(4)
                    .filter_map(|f| f.parse::<u64>().ok())
                    .sum::<u64>(),
            )
        })
        .sum();
    Duration::from_nanos(ticks * (1_000_000_000 / per_second))
}

/// CPU time of the process tree's living threads in nanoseconds (`schedstat`, finer than the clock tick of `stat`).
pub fn cpu_nanos(pid: u32) -> u64 {
    tree(pid)
        .into_iter()
        .flat_map(|pid| {
            std::fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
                .flatten()
        })
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|s| s.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// A `kB` line of `/proc/PID/status`, such as `VmRSS` or `VmHWM`.
pub fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Targets of the process's open file descriptors, as `/proc` shows them (`(deleted)` marks unlinked files).
pub fn open_files(pid: u32) -> Vec<String> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}
