//! Compares the instructions of the hot paths with `benches/counts/limits.toml`.
//!
//! The program `counts` counts, with gungraun and valgrind. Its output is read here and compared by
//! [`Limits`].

mod limits;
#[cfg(test)]
mod tests;

use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use limits::{Figure, Limits};
use serde_json::Value;

/// The file of the limits.
const LIMITS: &str = "benches/counts/limits.toml";

/// What the figures are counted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// To be compared with the limits.
    Check,
    /// To become the limits.
    Accept,
}

/// Counts, and returns whether all figures are within the limits. Where a tool is missing, prints
/// which and returns true.
pub(crate) fn run(root: &Path, target: &Path, purpose: Purpose) -> io::Result<bool> {
    let runner = target.join("tools/bin/gungraun-runner");
    if let Some(missing) = missing_tool(root, &runner)? {
        println!("count: skipped: {missing}");
        return Ok(true);
    }
    let figures = figures(&counted(root, &runner)?)?;
    let path = root.join(LIMITS);
    let compiler = output_of("rustc", "--version")?;
    if purpose == Purpose::Accept {
        fs::write(&path, limits::written(&figures, &compiler))?;
        println!("count: {} figures are the limits now", figures.len());
        return Ok(true);
    }
    let limits = Limits::read(&fs::read_to_string(path)?).map_err(Error::other)?;
    let report = limits.judge(&figures, &compiler);
    print!("{}", report.text);
    Ok(report.holds)
}

/// A tool that is not installed, and how to install it.
fn missing_tool(root: &Path, runner: &Path) -> io::Result<Option<String>> {
    if output_of("valgrind", "--version").is_err() {
        return Ok(Some("no valgrind: `apt-get install valgrind`".to_owned()));
    }
    if runner.is_file() {
        return Ok(None);
    }
    let manifest: toml::Table =
        fs::read_to_string(root.join("Cargo.toml"))?.parse().map_err(Error::other)?;
    let version = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies")?.get("gungraun")?.as_str())
        .ok_or_else(|| Error::other("Cargo.toml has no version of gungraun"))?;
    let tools = runner.ancestors().nth(2).unwrap_or(runner).display();
    Ok(Some(format!(
        "no {}: `cargo install gungraun-runner --version {version} --locked --root {tools}`",
        runner.display()
    )))
}

/// Runs the program and returns its output, which has a line of JSON for each figure.
fn counted(root: &Path, runner: &Path) -> io::Result<String> {
    let line = "bench --locked --package counts --bench counts -- --output-format=json";
    let cargo = env::var_os("CARGO").map_or("cargo".into(), PathBuf::from);
    let output = Command::new(cargo)
        .args(line.split(' '))
        .env("GUNGRAUN_RUNNER", runner)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(Error::other(format!("counting failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(Error::other)
}

/// Parses the figures in gungraun's output.
fn figures(output: &str) -> io::Result<Vec<Figure>> {
    output.lines().filter(|line| line.starts_with('{')).map(figure).collect()
}

fn figure(line: &str) -> io::Result<Figure> {
    let summary: Value = serde_json::from_str(line)?;
    let text = |name| summary.get(name)?.as_str().map(str::to_owned);
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new");
    text("function_name")
        .zip(text("id"))
        .zip(count.and_then(Value::as_u64))
        .map(|((path, case), instructions)| Figure { path, case, instructions })
        .ok_or_else(|| Error::other(format!("no instruction count in gungraun's output: {line}")))
}

/// The standard output of a program.
fn output_of(program: &str, argument: &str) -> io::Result<String> {
    let output = Command::new(program).arg(argument).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
