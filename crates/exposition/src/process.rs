//! The metrics of the process itself, from `/proc`, by the names that every exporter has.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// How often a second the kernel counts in the files of `/proc`; part of its interface, whatever
/// its own clock is.
const TICKS_PER_SECOND: f64 = 100.0;
const KIB: f64 = 1024.0;

/// A metric: name, help, whether it is a counter, value.
type Fact = (&'static str, &'static str, bool, Option<f64>);

/// Writes the metrics of the process and `build_info` with the prefix of the program. What `/proc`
/// does not have has no sample.
///
/// # Errors
/// That of the encoder.
pub fn encode(encoder: &mut DescriptorEncoder<'_>, program: &str, version: &str) -> fmt::Result {
    let (name, help) = (format!("{program}_build_info"), "The version that runs; always 1");
    let mut info = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
    info.encode_family(&[("version", version)])?.encode_gauge(&1_u64)?;
    for (name, help, is_counter, value) in facts() {
        let kind = if is_counter { MetricType::Counter } else { MetricType::Gauge };
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        match value {
            Some(value) if is_counter => {
                metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
            Some(value) => metric.encode_gauge(&value)?,
            None => {}
        }
    }
    Ok(())
}

fn facts() -> [Fact; 7] {
    let stat = read("/proc/self/stat");
    let status = read("/proc/self/status");
    let kib = |key| field(&status, key).map(|size| size * KIB);
    let limits = read("/proc/self/limits");
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count());
    // The directory itself is open while it is read.
    let open = open.and_then(|files| u32::try_from(files.saturating_sub(1)).ok()).map(f64::from);
    [
        (
            "process_cpu_seconds",
            "User and system CPU time in seconds",
            true,
            tick(&stat, 13).zip(tick(&stat, 14)).map(|(user, system)| user + system),
        ),
        ("process_open_fds", "Open file descriptors", false, open),
        ("process_max_fds", "The limit of open file descriptors", false, fds_max(&limits)),
        ("process_resident_memory_bytes", "Resident memory in bytes", false, kib("VmRSS:")),
        ("process_virtual_memory_bytes", "Virtual memory in bytes", false, kib("VmSize:")),
        ("process_threads", "Threads", false, field(&status, "Threads:")),
        (
            "process_start_time_seconds",
            "The start of the process in seconds since 1970",
            false,
            tick(&stat, 21).zip(field(&read("/proc/stat"), "btime")).map(|(up, boot)| boot + up),
        ),
    ]
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A field of `/proc/self/stat` that counts ticks, in seconds. The second field is the name of the
/// program, which may hold blanks.
fn tick(stat: &str, at: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: f64 = fields.split_whitespace().nth(at.checked_sub(2)?)?.parse().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

/// The first number in the line that begins with `key`.
fn field(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit; none where it is unlimited.
fn fds_max(limits: &str) -> Option<f64> {
    field(limits, "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_every_metric() {
        for (name, _, _, value) in facts() {
            let value = value.unwrap_or_else(|| panic!("{name}"));
            assert!(value.is_finite() && value >= 0.0, "{name} {value}");
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let [.., (_, _, _, started)] = facts();
        let age = now.as_secs_f64() - started.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }

    #[test]
    fn the_name_of_a_program_may_hold_anything() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 900 0";
        assert_eq!(
            (tick(stat, 13), tick(stat, 14), tick(stat, 21)),
            (Some(2.5), Some(0.5), Some(9.0))
        );
        assert_eq!(tick("", 13), None);
        assert_eq!(
            fds_max("Max open files            1024                 4096       files"),
            Some(1024.0)
        );
        assert_eq!(fds_max("Max open files            unlimited  unlimited  files"), None);
    }
}
