//! Samples of the sidecar over time, and their judgement: the first quarter against the last.

use std::fmt;
use std::time::Duration;

use crate::Fallible;
use crate::process::Process;

/// By how much threads and descriptors may differ between two samples: some are about to end.
const SPREAD_MAX: u64 = 4;

/// The process at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sight {
    pub(super) memory_bytes: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
}

impl Sight {
    pub(super) fn of(process: &Process) -> Fallible<Self> {
        Ok(Self {
            memory_bytes: process.memory_bytes()?,
            threads: process.threads()?,
            descriptors: process.descriptors()?,
        })
    }

    /// The median of each figure.
    fn median(sights: &[Self]) -> Option<Self> {
        let median = |figure: fn(&Self) -> u64| {
            let mut figures: Vec<u64> = sights.iter().map(figure).collect();
            figures.sort_unstable();
            figures.get(figures.len() / 2).copied()
        };
        Some(Self {
            memory_bytes: median(|sight| sight.memory_bytes)?,
            threads: median(|sight| sight.threads)?,
            descriptors: median(|sight| sight.descriptors)?,
        })
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_bytes, threads, descriptors } = self;
        let mib = *memory_bytes as f64 / f64::from(1 << 20);
        write!(f, "{mib:.1} MiB, {threads} threads, {descriptors} descriptors")
    }
}

/// The work of the load so far.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Work {
    pub(super) bytes: u64,
    /// Connections that the load cut.
    pub(super) cuts: u64,
    /// Connections that ended, at either side.
    pub(super) ended: u64,
    /// The processor time of the sidecar.
    pub(super) processor: Duration,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, cuts, ended, processor } = self;
        let gigabytes = *bytes as f64 / 1e9;
        write!(f, "{gigabytes:.2} GB, {cuts} cuts, {ended} connections ended, ")?;
        write!(f, "{:.1} s of processor", processor.as_secs_f64())
    }
}

/// Compares the last quarter with the first. An error if the process has grown by more
/// than `growth_bytes`, has more threads or descriptors, or has closed links by itself.
pub(super) fn judge(sights: &[Sight], work: Work, growth_bytes: u64) -> Fallible<String> {
    let quarter = sights.len().div_ceil(4);
    let first = sights.get(..quarter).and_then(Sight::median);
    let last = sights.get(sights.len() - quarter..).and_then(Sight::median);
    let (first, last) = first.zip(last).ok_or("too short to see anything")?;
    let text = format!("first quarter: {first}\nlast quarter:  {last}\n{work}");
    let limits = [
        ("memory", first.memory_bytes, last.memory_bytes, growth_bytes),
        ("threads", first.threads, last.threads, SPREAD_MAX),
        ("descriptors", first.descriptors, last.descriptors, SPREAD_MAX),
    ];
    for (what, first, last, growth) in limits {
        if last > first + growth {
            return Err(format!("{text}\n{what} grew by more than {growth}").into());
        }
    }
    // A cut ends both connections of its link.
    if work.ended > 2 * work.cuts {
        return Err(format!("{text}\nthe sidecar closed links that were not cut").into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: Sight = Sight { memory_bytes: 12 << 20, threads: 7, descriptors: 30 };
    const WORK: Work = Work { bytes: 1, cuts: 3, ended: 6, processor: Duration::ZERO };

    fn grown(last: Sight) -> Fallible<String> {
        judge(&[[FLAT; 6], [last; 6]].concat(), WORK, 1 << 20)
    }

    #[test]
    fn what_stays_as_it_is_or_shrinks_passes() {
        assert!(grown(FLAT).is_ok());
        assert!(grown(Sight { memory_bytes: 13 << 20, threads: 2, ..FLAT }).is_ok());
        assert!(judge(&[], WORK, 1 << 20).is_err());
    }

    #[test]
    fn what_grows_fails_and_is_named() {
        let of = |last| grown(last).unwrap_err().to_string();
        assert!(of(Sight { memory_bytes: 14 << 20, ..FLAT }).contains("memory grew"));
        assert!(of(Sight { threads: 20, ..FLAT }).contains("threads grew"));
        assert!(of(Sight { descriptors: 60, ..FLAT }).contains("descriptors grew"));
    }

    #[test]
    fn one_high_moment_is_no_growth() {
        let mut sights = [FLAT; 12];
        sights[11].memory_bytes = 90 << 20;
        assert!(judge(&sights, WORK, 1 << 20).is_ok());
    }

    #[test]
    fn links_that_end_uncut_fail() {
        let work = Work { ended: 7, ..WORK };
        assert!(judge(&[FLAT; 8], work, 1 << 20).is_err());
    }
}
