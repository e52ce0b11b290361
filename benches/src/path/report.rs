//! The table of the whole path, for docs/performance.md.

use std::fmt::{self, Write as _};

use bench::median;

use super::Arguments;

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    MegabytesPerSecond,
    ProcessorSecondsPerGigabyte,
    Milliseconds,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MegabytesPerSecond => "MB/s",
            Self::ProcessorSecondsPerGigabyte => "processor s/GB",
            Self::Milliseconds => "ms",
        })
    }
}

/// Figures by name, in the order in which they first came.
#[derive(Default)]
pub(super) struct Figures(Vec<(&'static str, Unit, Vec<f64>)>);

impl Figures {
    /// Adds the figure of one round.
    pub(super) fn add(&mut self, name: &'static str, unit: Unit, figure: f64) {
        eprintln!("  {name}: {figure:.2} {unit}");
        match self.0.iter_mut().find(|(known, _, _)| *known == name) {
            Some((_, _, all)) => all.push(figure),
            None => self.0.push((name, unit, vec![figure])),
        }
    }

    /// The table, and the command that measured it.
    pub(super) fn markdown(&self, arguments: &Arguments) -> String {
        let mut out = String::new();
        // Writing to a text does not fail.
        let _ = self.tell(&mut out, arguments);
        out
    }

    fn tell(&self, out: &mut String, arguments: &Arguments) -> fmt::Result {
        let Arguments { documents, value, rounds, quota_mib, writes, seconds, folder, .. } =
            arguments;
        write!(
            out,
            "`cargo xtask bench path --documents {documents} --value {value} --rounds {rounds} \
             --quota-mib {quota_mib} --writes {writes} --seconds {seconds}"
        )?;
        if let Some(folder) = folder {
            write!(out, " --folder {}", folder.display())?;
        }
        writeln!(out, "`")?;
        writeln!(out, "on {}.\n", bench::machine())?;
        writeln!(out, "| | | median | least to most |")?;
        writeln!(out, "|---|---|---:|---:|")?;
        for (name, unit, all) in &self.0 {
            let median = median(all.iter().copied()).unwrap_or_default();
            let least = all.iter().copied().fold(f64::INFINITY, f64::min);
            let most = all.iter().copied().fold(0.0, f64::max);
            let [median, least, most] = [median, least, most].map(figure);
            writeln!(out, "| {name} | {unit} | {median} | {least} to {most} |")?;
        }
        Ok(())
    }
}

fn figure(number: f64) -> String {
    if number < 100.0 { format!("{number:.2}") } else { format!("{number:.0}") }
}
