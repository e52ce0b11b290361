//! The results, with their medians and ratios.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bench::median;

use crate::ways::Way;

/// What one throughput is measured with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cell {
    pub(crate) way: Way,
    pub(crate) links: u16,
    pub(crate) frame_bytes: usize,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = size(self.frame_bytes);
        write!(f, "{:<24} {:>2} links, frames of {frame:>8}", self.way, self.links)
    }
}

/// One throughput and its cost; gigabytes are 10^9 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) gigabytes_per_s: f64,
    pub(crate) processor_s_per_gigabyte: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} GB/s", self.gigabytes_per_s)?;
        let Some(cost) = self.processor_s_per_gigabyte else { return Ok(()) };
        let memory = mebibytes(self.memory_bytes.unwrap_or_default());
        write!(f, ", {cost:.2} s/GB, {memory:.1} MiB")
    }
}

/// Round trips of one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1?}, p99 {:.1?}", self.p50, self.p99)
    }
}

/// The cost of the set-up of streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetUp {
    /// From the answer to DCP_OPEN to the last answer to an ADD_STREAM.
    pub(crate) wall: Duration,
    /// The processor time of the sidecar's threads.
    pub(crate) processor: Duration,
}

impl fmt::Display for SetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {:.1?}, {:.1?} of the sidecar's own", self.wall, self.processor)
    }
}

/// The percentiles of unordered times.
pub(crate) fn percentiles(times: &mut [Duration]) -> Latency {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Latency { p50: at(50), p99: at(99) }
}

/// All rounds.
#[derive(Default)]
pub(crate) struct Results {
    throughput: BTreeMap<Cell, Vec<Sample>>,
    latency: BTreeMap<Way, Vec<Latency>>,
    set_up: BTreeMap<Way, Vec<SetUp>>,
}

impl Results {
    pub(crate) fn throughput(&mut self, cell: Cell, sample: Sample) {
        self.throughput.entry(cell).or_default().push(sample);
    }

    pub(crate) fn latency(&mut self, way: Way, latency: Latency) {
        self.latency.entry(way).or_default().push(latency);
    }

    pub(crate) fn set_up(&mut self, way: Way, set_up: SetUp) {
        self.set_up.entry(way).or_default().push(set_up);
    }

    fn samples(&self, cell: Cell) -> &[Sample] {
        self.throughput.get(&cell).map_or(&[], Vec::as_slice)
    }

    /// Gigabytes per second.
    pub(crate) fn speed(&self, cell: Cell) -> Option<f64> {
        median(self.samples(cell).iter().map(|sample| sample.gigabytes_per_s))
    }

    /// Processor seconds per gigabyte.
    pub(crate) fn cost(&self, cell: Cell) -> Option<f64> {
        median(self.samples(cell).iter().filter_map(|sample| sample.processor_s_per_gigabyte))
    }

    /// Speed and cost as ratios to those of another way, by round, so that other load of the
    /// machine affects both.
    pub(crate) fn ratios(&self, cell: Cell, other: Way) -> (Option<f64>, Option<f64>) {
        let others = self.samples(Cell { way: other, ..cell });
        let pairs = || self.samples(cell).iter().zip(others);
        let speed = pairs().map(|(one, other)| one.gigabytes_per_s / other.gigabytes_per_s);
        let cost = pairs().filter_map(|(one, other)| {
            Some(one.processor_s_per_gigabyte? / other.processor_s_per_gigabyte?)
        });
        (median(speed), median(cost))
    }

    /// The peak memory of a process of `way` with this many links, in MiB.
    pub(crate) fn memory(&self, way: Way, links: u16) -> Option<f64> {
        let cells =
            self.throughput.iter().filter(|(cell, _)| (cell.way, cell.links) == (way, links));
        cells.flat_map(|(_, samples)| samples).filter_map(|s| s.memory_bytes).max().map(mebibytes)
    }

    /// The medians of p50 and p99, in microseconds.
    pub(crate) fn round_trip(&self, way: Way) -> Option<(f64, f64)> {
        let rounds = self.latency.get(&way)?;
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let p50 = median(rounds.iter().map(|round| us(round.p50)))?;
        Some((p50, median(rounds.iter().map(|round| us(round.p99)))?))
    }

    /// The medians of wall and processor time, in milliseconds.
    pub(crate) fn streams(&self, way: Way) -> Option<(f64, f64)> {
        let rounds = self.set_up.get(&way)?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let wall = median(rounds.iter().map(|round| ms(round.wall)))?;
        Some((wall, median(rounds.iter().map(|round| ms(round.processor)))?))
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A number of bytes with a fitting unit.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        mib if mib >= 1 << 20 && mib % (1 << 20) == 0 => format!("{} MiB", mib >> 20),
        kib if kib >= 1 << 10 && kib % (1 << 10) == 0 => format!("{} KiB", kib >> 10),
        bytes => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(speed: f64, cost: f64) -> Sample {
        Sample {
            gigabytes_per_s: speed,
            processor_s_per_gigabyte: Some(cost),
            memory_bytes: Some(3 << 20),
        }
    }

    #[test]
    fn ratios_compare_round_with_round_and_not_median_with_median() {
        let mut results = Results::default();
        let cell = Cell { way: Way::DcpProxy, links: 1, frame_bytes: 64 };
        let other = Cell { way: Way::HaproxyLarge, ..cell };
        // The machine is slow in the second round, for both.
        for (speed, slow) in [(2.0, 1.0), (0.2, 0.1), (4.0, 2.0)] {
            results.throughput(cell, sample(speed, 0.3));
            results.throughput(other, sample(slow, 0.2));
        }
        assert_eq!(results.speed(cell), Some(2.0));
        let (speed, cost) = results.ratios(cell, other.way);
        assert_eq!(speed, Some(2.0));
        assert!((cost.unwrap() - 1.5).abs() < 1e-9);
        assert_eq!(results.memory(cell.way, 1), Some(3.0));
        assert_eq!(results.memory(cell.way, 4), None);
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_micros).collect();
        let Latency { p50, p99 } = percentiles(&mut times);
        assert_eq!((p50.as_micros(), p99.as_micros()), (51, 100));
        assert_eq!(percentiles(&mut []).p99, Duration::ZERO);
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        let said = [64, 1024, 1500, 16_384, 1 << 20].map(size);
        assert_eq!(said, ["64 B", "1 KiB", "1500 B", "16 KiB", "1 MiB"]);
    }
}
