//! Developer tasks: `tidy`, `verify`, `fix`, `bench` and `count`. No part of the product uses it.

mod count;
mod tidy;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use count::Purpose;

const USAGE: &str = "\
usage: cargo xtask TASK
  tidy     check the rules that the compiler does not know; `cargo test` checks them too
  verify   do what CI does, without changing anything
  fix      let clippy and rustfmt repair what they can
  bench    measure a replication link; `bench path` the whole path from data node to data node,
           `bench node` a data node, `bench recovery` how long replication takes to recover;
           options go to the program, --help shows them
  count    hold the hot paths to the instructions they may take; --accept takes new figures";

fn main() -> ExitCode {
    let tasks: Vec<String> = std::env::args().skip(1).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let outcome = match tasks.as_slice() {
        ["tidy"] => tidy(),
        ["verify"] => run("bash .ci/run"),
        ["fix"] => fix(),
        ["bench", "node", options @ ..] => bench("node-bench", options),
        // Parts of the same program.
        ["bench", "path" | "recovery", ..] => {
            bench("node-bench", tasks.get(1..).unwrap_or_default())
        }
        ["bench", options @ ..] => bench("link-bench", options),
        ["count"] => count(Purpose::Check),
        ["count", "--accept"] => count(Purpose::Accept),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The top folder of the project.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo puts what it builds.
fn target() -> io::Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(folder),
        None => Ok(root().join("target")),
    }
}

fn tidy() -> io::Result<bool> {
    let complaints = tidy::check(&tidy::Tree::read(root())?);
    for complaint in &complaints {
        println!("{complaint}");
    }
    let failures = complaints.iter().filter(|complaint| complaint.is_failure()).count();
    println!("tidy: {failures} to mend, {} to think about", complaints.len() - failures);
    Ok(failures == 0)
}

fn fix() -> io::Result<bool> {
    let mended = run("cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets")?;
    Ok(run("cargo fmt --all")? && mended)
}

/// Builds the programs with all optimizations, then measures them with one of them.
fn bench(program: &str, options: &[&str]) -> io::Result<bool> {
    // Both at once, so that both are built with the same features of the libraries.
    if !run("cargo build --release --package dcp-proxy --package bench")? {
        return Ok(false);
    }
    let program = target()?.join("release").join(program);
    Ok(Command::new(program).args(options).current_dir(root()).status()?.success())
}

fn count(purpose: Purpose) -> io::Result<bool> {
    count::run(root(), &target()?, purpose)
}

/// Runs a command line in the top folder; true where it succeeds.
fn run(line: &str) -> io::Result<bool> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    Ok(Command::new(program).args(words).current_dir(root()).status()?.success())
}
