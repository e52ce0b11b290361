//! The programs: static, and byte for byte the same from every folder.
//!
//! What the compilers write of paths (the places of panics, of assertions in C) is replaced by
//! names that do not depend on the machine.

use std::ffi::OsString;
use std::io::{self, Error};
use std::path::{Path, PathBuf};

use super::{PROGRAM_MAX, PROGRAMS, Places};
use crate::process::{self, command};

/// No symbols; the addresses to be relocated in a few kilobytes instead of 270; and neither tables
/// for unwinding, 1.2 megabytes, nor their index: a panic ends the program, and without symbols a
/// backtrace names nothing. The path is below the folder in which cargo links: one that named the
/// folder would change the program.
const SMALL: [&str; 4] = [
    "-Cstrip=symbols",
    "-Clink-arg=-Wl,-z,pack-relative-relocs",
    "-Clink-arg=-Wl,--no-eh-frame-hdr",
    "-Clink-arg=-Wl,-T,xtask/src/package/no_unwinding.ld",
];
/// What separates the flags of rustc in the variable of cargo.
const SEPARATOR: &str = "\u{1f}";

/// Builds both programs from the sources in `source` with the output in `target`.
///
/// # Errors
/// Where the target is not installed, the build fails, or a program is too large.
pub(super) fn build(places: &Places, source: &Path, target: &Path) -> io::Result<()> {
    let triple = Places::triple();
    installed(&triple)?;
    let paths = replaced(source, target, &cargo_home()?);
    let args = ["build", "--profile", "dist", "--locked", "--package", "dcp-proxy", "--bins"];
    let mut cargo = command("cargo", &args);
    cargo.args(["--features", "jemalloc"]);
    cargo.args(["--target", &triple]).current_dir(source);
    for (name, value) in environment(&triple, &paths, &places.epoch) {
        cargo.env(name, value);
    }
    cargo.env("CARGO_TARGET_DIR", target);
    process::run(&mut cargo)?;
    PROGRAMS.iter().try_for_each(|name| small(&target.join(&triple).join("dist").join(name)))
}

/// Fails where the standard library of a target is missing.
fn installed(triple: &str) -> io::Result<()> {
    let mut rustc = command("rustc", &["--print", "target-libdir", "--target", triple]);
    let folder = process::output(&mut rustc)?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let text = format!(
        "the standard library of {triple} is missing: rustup target add {triple}; C libraries need \
         musl-gcc (Debian: musl-tools)"
    );
    Err(Error::other(text))
}

fn cargo_home() -> io::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let folder = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home);
    folder.ok_or_else(|| Error::other("neither CARGO_HOME nor HOME is set"))
}

/// The folders whose paths would be in the programs, with what stands for each. A later one takes
/// precedence, so the folder of the output, which may be below that of the sources, comes last.
fn replaced(source: &Path, target: &Path, cargo: &Path) -> Vec<(PathBuf, &'static str)> {
    let folders = [(cargo, "/cargo"), (source, "/dcp-proxy"), (target, "/target")];
    folders.map(|(folder, name)| (folder.to_owned(), name)).to_vec()
}

fn environment(
    triple: &str,
    paths: &[(PathBuf, &'static str)],
    epoch: &str,
) -> Vec<(String, OsString)> {
    let flags = |option: &str, separator: &str| {
        let flag = |(folder, name): &(PathBuf, _)| format!("{option}={}={name}", folder.display());
        paths.iter().map(flag).collect::<Vec<_>>().join(separator)
    };
    let c = flags("-ffile-prefix-map", " ");
    let rust = flags("--remap-path-prefix", SEPARATOR);
    let rust = [&[rust.as_str()], &SMALL[..]].concat().join(SEPARATOR);
    [
        ("CARGO_ENCODED_RUSTFLAGS".to_owned(), rust),
        (format!("CFLAGS_{}", triple.replace('-', "_")), c),
        ("CARGO_INCREMENTAL".to_owned(), "0".to_owned()),
        ("SOURCE_DATE_EPOCH".to_owned(), epoch.to_owned()),
    ]
    .map(|(name, value)| (name, OsString::from(value)))
    .to_vec()
}

fn small(program: &Path) -> io::Result<()> {
    let size = program.metadata()?.len();
    let name = program.display();
    if size > PROGRAM_MAX {
        let text = format!(
            "{name} has {size} bytes, and {PROGRAM_MAX} are allowed: `cargo bloat --profile dist` \
             shows what is in it"
        );
        return Err(Error::other(text));
    }
    println!("package: {name} ({size} bytes of at most {PROGRAM_MAX})");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_machine_is_replaced_for_rust_and_for_c() {
        let paths = replaced(Path::new("/a"), Path::new("/a/target"), Path::new("/c/.cargo"));
        let environment = environment("x86_64-unknown-linux-musl", &paths, "17");
        let value = |name: &str| {
            let found = environment.iter().find(|(it, _)| it == name);
            found.unwrap_or_else(|| panic!("no {name}")).1.to_str().unwrap()
        };
        assert_eq!(
            value("CARGO_ENCODED_RUSTFLAGS").split('\u{1f}').collect::<Vec<_>>(),
            [
                "--remap-path-prefix=/c/.cargo=/cargo",
                "--remap-path-prefix=/a=/dcp-proxy",
                "--remap-path-prefix=/a/target=/target",
                "-Cstrip=symbols",
                "-Clink-arg=-Wl,-z,pack-relative-relocs",
                "-Clink-arg=-Wl,--no-eh-frame-hdr",
                "-Clink-arg=-Wl,-T,xtask/src/package/no_unwinding.ld",
            ]
        );
        let c = value("CFLAGS_x86_64_unknown_linux_musl");
        assert!(c.ends_with(" -ffile-prefix-map=/a/target=/target"), "{c}");
        assert_eq!(value("SOURCE_DATE_EPOCH"), "17");
    }

    #[test]
    fn a_program_that_is_too_large_is_refused() {
        let folder = std::env::temp_dir().join(format!("xtask-small-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("program");
        std::fs::File::create(&file).unwrap().set_len(PROGRAM_MAX).unwrap();
        small(&file).unwrap();
        std::fs::OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(PROGRAM_MAX + 1)
            .unwrap();
        let error = small(&file).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("has 12582913 bytes, and 12582912 are allowed"), "{error}");
    }
}
