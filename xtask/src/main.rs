//! Developer tasks: `tidy`, `verify`, `fix`, `bench` and `count`. Not part of the product.

mod count;
mod tidy;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use count::Purpose;

const USAGE: &str = "\
usage: cargo xtask TASK
  tidy     check the rules that the compiler does not check; `cargo test` checks them too
  verify   run all checks of CI, without changing anything
  fix      fix what clippy and rustfmt can fix
  bench    measure a replication link; `bench path` measures the path from data node to data node,
           `bench node` a data node, `bench recovery` how long replication takes to recover;
           options are passed to the program, --help lists them
  count    compare the instructions of the hot paths with their limits; --accept sets new limits";

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

/// The folder of cargo's build output.
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
    println!("tidy: {failures} errors, {} warnings", complaints.len() - failures);
    Ok(failures == 0)
}

fn fix() -> io::Result<bool> {
    let mended = run("cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets")?;
    Ok(run("cargo fmt --all")? && mended)
}

/// Builds the programs in release mode, then runs one that measures the others.
fn bench(program: &str, options: &[&str]) -> io::Result<bool> {
    // In one call, so that both packages are built with the same features of the libraries.
    if !run("cargo build --release --package dcp-proxy --package bench")? {
        return Ok(false);
    }
    let program = target()?.join("release").join(program);
    Ok(Command::new(program).args(options).current_dir(root()).status()?.success())
}

fn count(purpose: Purpose) -> io::Result<bool> {
    count::run(root(), &target()?, purpose)
}

/// Runs a command line in the top folder; returns whether it succeeded.
fn run(line: &str) -> io::Result<bool> {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or_else(|| io::Error::other("an empty command line"))?;
    Ok(Command::new(program).args(words).current_dir(root()).status()?.success())
}
