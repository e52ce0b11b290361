//! A child process that is measured: its processor time, its memory, and its end with its owner.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// A running program.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Self(child.map_err(|error| format!("{}: {error}", program.display()))?))
    }

    /// What all its threads have run, in user and kernel mode, to the nanosecond. Work that the
    /// kernel does for its sockets in their place is in it.
    pub(crate) fn processor_time(&self) -> Outcome<Duration> {
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn memory_bytes_max(&self) -> Outcome<u64> {
        Ok(self.status("VmHWM:")? * 1024)
    }

    /// The memory that it has (RSS), in bytes.
    pub(crate) fn memory_bytes(&self) -> Outcome<u64> {
        Ok(self.status("VmRSS:")? * 1024)
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Outcome<u64> {
        self.status("Threads:")
    }

    /// How many file descriptors it has open.
    pub(crate) fn descriptors(&self) -> Outcome<u64> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0.id()))?.count() as u64)
    }

    /// A number that the kernel tells of it. A process that has ended has no memory.
    fn status(&self, name: &str) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number
            .ok_or_else(|| format!("the kernel does not tell {name} of a process that has ended"))?
            .parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever talks to it has noticed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
