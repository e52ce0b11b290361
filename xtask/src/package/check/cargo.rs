//! `cargo install` of both programs, as from the sources.

use std::io;

use super::{Holds, Outcome, Places, Scratch, Skipped, ensure};
use crate::package::PROGRAMS;
use crate::process::{self, command};

pub(super) fn check(places: &Places) -> io::Result<Outcome> {
    // Otherwise it would build for many minutes.
    if !places.target.join("release/dcp-proxy").is_file() {
        return Ok(Skipped(
            "there is no build to take them from: `cargo build --release`".to_owned(),
        ));
    }
    let scratch = Scratch::new(places, "cargo")?;
    let args = ["install", "--path", ".", "--locked", "--no-track", "--quiet", "--root"];
    let mut install = command("cargo", &args);
    install.arg(scratch.path()).current_dir(&places.root);
    install.env("CARGO_TARGET_DIR", &places.target);
    process::expect(&mut install, 0)?;
    for program in PROGRAMS {
        let installed = scratch.path().join("bin").join(program);
        let said = process::output(&mut command(installed, &["--version"]))?;
        let right = format!("{program} {}", places.version);
        ensure(said.trim() == right, || format!("{program} --version: {said}"))?;
    }
    Ok(Holds(PROGRAMS.join(", ")))
}
