//! A measured child process: its processor time and memory. Killed when dropped.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Fallible;

/// A running program.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Fallible<Self> {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Self(child.map_err(|error| format!("{}: {error}", program.display()))?))
    }

    /// The run time of all its threads, in user and kernel mode, in nanoseconds. It includes the
    /// work that the kernel does for its sockets on their behalf.
    pub(crate) fn processor_time(&self) -> Fallible<Duration> {
        let mut total = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Its peak memory, in bytes.
    pub(crate) fn memory_bytes_max(&self) -> Fallible<u64> {
        Ok(self.status("VmHWM:")? * 1024)
    }

    /// Its memory (RSS), in bytes.
    pub(crate) fn memory_bytes(&self) -> Fallible<u64> {
        Ok(self.status("VmRSS:")? * 1024)
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Fallible<u64> {
        self.status("Threads:")
    }

    /// How many file descriptors it has open.
    pub(crate) fn descriptors(&self) -> Fallible<u64> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0.id()))?.count() as u64)
    }

    /// A number from its status in /proc. A process that has exited has no memory.
    fn status(&self, name: &str) -> Fallible<u64> {
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
        // An error means that it has exited already, which its peers have noticed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
