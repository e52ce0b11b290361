//! Developer tasks: `tidy`, `docs`, `verify`, `fix`, `bench`, `count` and `package`. Not part of
//! the product.

mod count;
mod package;
mod process;
mod tidy;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use count::Purpose;

const USAGE: &str = "\
usage: cargo xtask TASK
  tidy     check the rules that the compiler does not check; `cargo test` checks them too
  docs     check the documents: links, blocks of code, generated tables; then run their commands;
           --write brings the generated tables up to date
  verify   run all checks of CI, without changing anything
  fix      fix what clippy and rustfmt can fix
  bench    measure a replication link; `bench path` measures the path from data node to data node,
           `bench node` a data node, `bench recovery` how long replication takes to recover,
           `bench tail` the lines of dcp-proxy tail, `bench durable` durable writes,
           `bench latency` gets and sets at fixed rates, `bench bucket` a whole bucket from its
           first get to its deletion, `bench large` a node with many documents;
           options are passed to the program, --help lists them
  count    compare the instructions of the hot paths with their limits; --accept sets new limits
  package  make deb, rpm, archive, image root, bill of materials and checksums in target/packages;
           `package pack` does so without a build, `package check` checks them, `package twice`
           builds the programs from another folder and compares, `package kubernetes` writes the
           manifest anew, from the chart";

/// Of the program that measures a data node.
const PARTS: [&str; 7] = ["path", "durable", "latency", "recovery", "tail", "bucket", "large"];

fn main() -> ExitCode {
    let tasks: Vec<String> = std::env::args().skip(1).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let outcome = match tasks.as_slice() {
        ["tidy"] => tidy(),
        ["docs"] => docs(Tables::Check),
        ["docs", "--write"] => docs(Tables::Write),
        ["verify"] => run("bash .ci/run"),
        ["fix"] => fix(),
        ["bench", "node", options @ ..] => bench("node-bench", options),
        ["bench", part, ..] if PARTS.contains(part) => {
            bench("node-bench", tasks.get(1..).unwrap_or_default())
        }
        ["bench", options @ ..] => bench("link-bench", options),
        ["package", words @ ..] => target().and_then(|it| package::run(root(), &it, words)),
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

/// What is done about generated tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    Check,
    Write,
}

/// The pages as text first, because that takes no build.
fn docs(tables: Tables) -> io::Result<bool> {
    let complaints = tidy::check_pages(&tidy::Tree::read(root())?);
    complaints.iter().for_each(|complaint| println!("{complaint}"));
    println!("docs: {} errors", complaints.len());
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["test", "--package", "dcp-proxy", "--lib"]);
    cargo.args(["--test", "reference"]);
    if tables == Tables::Write {
        cargo.args(["--", "reference", "tables_of_operations"]).env("UPDATE_REFERENCE", "1");
        return Ok(cargo.status()?.success() && complaints.is_empty());
    }
    // Of the library only what holds pages to the code.
    cargo.args(["--", "reference", "documents", "tables_of_operations", "has_its_row"]);
    let are_current = cargo.status()?.success();
    let commands_work = run("cargo test --package dcp-proxy --test documents")?;
    Ok(complaints.is_empty() && are_current && commands_work)
}

fn fix() -> io::Result<bool> {
    let mended = run("cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets")?;
    Ok(run("cargo fmt --all")? && mended)
}

/// Builds the programs as they are shipped, then runs one that measures the others.
fn bench(program: &str, options: &[&str]) -> io::Result<bool> {
    // In one call, so that both packages are built with the same features of the libraries.
    let shipped = "cargo build --profile dist --features dcp-proxy/jemalloc";
    if !run(&format!("{shipped} --package dcp-proxy --package bench"))? {
        return Ok(false);
    }
    let program = target()?.join("dist").join(program);
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
