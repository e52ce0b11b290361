//! Whether the programs are the same, byte for byte, when they are built from another folder.

use std::fs;
use std::io::{self, Error};
use std::path::Path;

use super::{PROGRAMS, Places, build};
use crate::process::{self, command};

/// Copies the sources to another folder, builds them there, and compares the programs with those
/// of `cargo xtask package`.
pub(super) fn run(places: &Places) -> io::Result<bool> {
    let built = places.built();
    let first = PROGRAMS.map(|name| sum(&built.join(name)));
    let second_place = places.target.join("twice");
    if second_place.exists() {
        fs::remove_dir_all(&second_place)?;
    }
    let source = second_place.join("elsewhere");
    copy(&places.root, &source)?;
    let target = second_place.join("output");
    build::build(places, &source, &target)?;
    let second = target.join(Places::triple()).join("dist");
    let mut same = true;
    for (name, first) in PROGRAMS.iter().zip(first) {
        let (first, second) = (first?, sum(&second.join(name))?);
        let word = if first == second { "the same" } else { "DIFFERENT" };
        println!("package twice: {name}: {word}: {first}, elsewhere {second}");
        same &= first == second;
    }
    Ok(same)
}

/// Copies the files that git knows, as they are in the work tree.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut git = command("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let files = process::output(git.current_dir(from))?;
    let mut count = 0;
    for file in files.split('\0').filter(|file| !file.is_empty() && from.join(file).is_file()) {
        let to = to.join(file);
        fs::create_dir_all(to.parent().unwrap_or(&to))?;
        fs::copy(from.join(file), to)?;
        count += 1;
    }
    if count == 0 {
        return Err(Error::other(format!("{}: git knows no file here", from.display())));
    }
    Ok(())
}

fn sum(file: &Path) -> io::Result<String> {
    let text = process::output(command("sha256sum", &["--"]).arg(file))?;
    let sum = text.split_whitespace().next().unwrap_or_default().to_owned();
    if sum.len() == 64 { Ok(sum) } else { Err(Error::other(format!("sha256sum: {text}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_file_follows_its_bytes_and_not_its_place() {
        let folder = std::env::temp_dir().join(format!("xtask-twice-{}", std::process::id()));
        fs::create_dir_all(folder.join("deep")).unwrap();
        let files = ["a", "deep/b", "c"].map(|name| folder.join(name));
        for (file, text) in files.iter().zip(["same", "same", "other"]) {
            fs::write(file, text).unwrap();
        }
        let [a, b, c] = files.map(|file| sum(&file).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(a, b);
        assert_ne!(a, c);
        let error = sum(&folder.join("gone")).unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn the_sources_are_copied_without_the_output() {
        let to = std::env::temp_dir().join(format!("xtask-copy-{}", std::process::id()));
        copy(&crate::root().join("deploy"), &to).unwrap();
        let (has, has_not) = (to.join("docker/Dockerfile").is_file(), to.join("target").exists());
        fs::remove_dir_all(&to).unwrap();
        assert!(has && !has_not);
    }
}
