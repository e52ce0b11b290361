//! Collects figures by name over all rounds, and makes their table for docs/performance.md.

use std::fmt::{self, Write as _};

use bench::median;

/// The unit of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    MegabytesPerSecond,
    ProcessorSecondsPerGigabyte,
    Seconds,
    Milliseconds,
    Microseconds,
    Mebibytes,
    PerSecond,
    Ratio,
    Count,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MegabytesPerSecond => "MB/s",
            Self::ProcessorSecondsPerGigabyte => "processor s/GB",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Mebibytes => "MiB",
            Self::PerSecond => "1/s",
            Self::Ratio => "ratio",
            Self::Count => "count",
        })
    }
}

/// Figures by name, in the order of their first appearance.
#[derive(Default)]
pub(crate) struct Figures(Vec<(String, Unit, Vec<f64>)>);

impl Figures {
    /// Adds the figure of one round.
    pub(crate) fn add(&mut self, name: &str, unit: Unit, figure: f64) {
        eprintln!("  {name}: {} {unit}", shown(unit, figure));
        match self.0.iter_mut().find(|(known, _, _)| known == name) {
            Some((_, _, all)) => all.push(figure),
            None => self.0.push((name.to_owned(), unit, vec![figure])),
        }
    }

    /// The table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out = "| | | median | least to most |\n|---|---|---:|---:|\n".to_owned();
        for (name, unit, all) in &self.0 {
            let median = median(all.iter().copied()).unwrap_or_default();
            let least = all.iter().copied().fold(f64::INFINITY, f64::min);
            let most = all.iter().copied().fold(0.0, f64::max);
            let [median, least, most] = [median, least, most].map(|figure| shown(*unit, figure));
            // Writing to a string does not fail.
            let _ = writeln!(out, "| {name} | {unit} | {median} | {least} to {most} |");
        }
        out
    }
}

fn shown(unit: Unit, number: f64) -> String {
    let decimals = if unit == Unit::Count || number >= 100.0 { 0 } else { 2 };
    format!("{number:.decimals$}")
}
