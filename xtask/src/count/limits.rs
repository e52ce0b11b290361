//! The limits of the hot paths: reads and writes their file, and compares figures with them. Pure.

use std::fmt::Write as _;

use toml::{Table, Value};

/// How far a figure may differ from its limit. Two counts of the same program differ by up to
/// 0.4 %, because the pump's runtime draws random numbers and reads the clock.
const TOLERANCE_PERCENT: f64 = 3.0;

/// The first lines of the file.
const HEADING: &str = "\
# What the hot paths cost in instructions, written by `cargo xtask count --accept`.
#
# Each figure is of 10,000 frames, or rows, so that 430,000 is 43 a frame; of `machine_frames` it is
# of 1,000 streams. They are those of one compiler and one architecture.
";

/// The instructions of one case of one path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Figure {
    pub(super) path: String,
    pub(super) case: String,
    pub(super) instructions: u64,
}

/// The limits of the file.
#[derive(Debug)]
pub(super) struct Limits {
    measured_with: String,
    figures: Vec<Figure>,
}

/// The text to print, and whether the figures are within the limits.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) text: String,
    pub(super) holds: bool,
    /// Whether the limits, or the code, should change.
    needs_action: bool,
}

/// Returns the file of limits that has `figures` as limits.
pub(super) fn written(figures: &[Figure], compiler: &str) -> String {
    let mut text = format!("{HEADING}measured_with = \"{}\"\n", measured_with(compiler));
    let mut path = "";
    for figure in figures {
        if figure.path != path {
            path = &figure.path;
            let _infallible = write!(text, "\n[{path}]\n");
        }
        let _infallible = writeln!(text, "{} = {}", figure.case, grouped(figure.instructions, '_'));
    }
    text
}

/// Compiler and architecture; with others the same program has other instructions.
fn measured_with(compiler: &str) -> String {
    let version: Vec<&str> = compiler.split(' ').take(2).collect();
    format!("{} on {}", version.join(" "), std::env::consts::ARCH)
}

impl Limits {
    /// Parses the file.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let mut limits = Self { measured_with: String::new(), figures: Vec::new() };
        for (name, value) in &table {
            match value {
                Value::String(text) if name == "measured_with" => {
                    limits.measured_with.clone_from(text);
                }
                Value::Table(cases) => {
                    for (case, count) in cases {
                        limits.figures.push(limit(name, case, count)?);
                    }
                }
                _ => return Err(format!("limits: unknown key `{name}`")),
            }
        }
        Ok(limits)
    }

    /// Compares `figures` with the limits.
    ///
    /// A path fails if it costs more than its limit, has no limit, or was not counted. One that
    /// costs less is reported, so that its limit can be lowered. With another compiler everything
    /// is reported and nothing fails.
    pub(super) fn judge(&self, figures: &[Figure], compiler: &str) -> Report {
        let mut report = Report { text: String::new(), holds: true, needs_action: false };
        for figure in figures {
            self.judge_one(figure, &mut report);
        }
        for limit in &self.figures {
            if !figures.iter().any(|figure| figure.is_of(limit)) {
                report.fail(&format!("{}: was not counted", limit.name()));
            }
        }
        if report.needs_action {
            report.line("`cargo xtask count --accept` makes these figures the limits");
        }
        let here = measured_with(compiler);
        if here != self.measured_with {
            let there = &self.measured_with;
            report.line(&format!("limits not applied: they are for {there}, this is {here}"));
            report.holds = true;
        }
        report
    }

    fn judge_one(&self, figure: &Figure, report: &mut Report) {
        let limit = self.figures.iter().find(|limit| limit.is_of(figure));
        let Some(limit) = limit.map(|limit| limit.instructions) else {
            return report.fail(&format!("{}: has no limit", figure.name()));
        };
        let percent = (figure.instructions as f64 / limit as f64 - 1.0) * 100.0;
        let count = grouped(figure.instructions, ',');
        let line = format!("{:32} {count:>12} {percent:+6.1} %", figure.name());
        let limit = grouped(limit, ',');
        if percent > TOLERANCE_PERCENT {
            report.fail(&format!("{line}  above the limit {limit}"));
        } else if percent < -TOLERANCE_PERCENT {
            report.line(&format!("{line}  below the limit {limit}: lower the limit"));
            report.needs_action = true;
        } else {
            report.line(&line);
        }
    }
}

fn limit(path: &str, case: &str, count: &Value) -> Result<Figure, String> {
    let instructions = count.as_integer().and_then(|count| u64::try_from(count).ok());
    let instructions = instructions.filter(|&count| count > 0);
    let instructions =
        instructions.ok_or_else(|| format!("limits: {path}.{case} must be a number above 0"))?;
    Ok(Figure { path: path.to_owned(), case: case.to_owned(), instructions })
}

impl Figure {
    fn name(&self) -> String {
        format!("{}.{}", self.path, self.case)
    }

    fn is_of(&self, other: &Self) -> bool {
        (&self.path, &self.case) == (&other.path, &other.case)
    }
}

impl Report {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn fail(&mut self, line: &str) {
        self.line(line);
        (self.holds, self.needs_action) = (false, true);
    }
}

/// The number with `mark` between groups of three digits.
fn grouped(number: u64, mark: char) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(digit);
    }
    out
}
