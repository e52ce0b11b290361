//! How this program was started, so that commands can be shown that work when they are pasted.

use std::env;
use std::path::Path;

use lifecycle::quoted;

/// This program as a shell in the working directory finds it.
#[must_use]
pub fn program() -> String {
    let started_as = env::args_os().next().unwrap_or_default();
    let folder = env::current_dir().ok();
    shown(Path::new(&started_as), env::current_exe().ok().as_deref(), folder.as_deref())
}

/// `started_as` is what the shell was given: a name that it has found in PATH, or a path.
fn shown(started_as: &Path, file: Option<&Path>, folder: Option<&Path>) -> String {
    let path = match started_as.as_os_str().is_empty() {
        false => started_as,
        true => file.unwrap_or(Path::new(env!("CARGO_PKG_NAME"))),
    };
    let below = folder.filter(|_| path.is_absolute()).and_then(|it| path.strip_prefix(it).ok());
    let text = match below {
        Some(name) if name.components().count() == 1 => format!("./{}", name.display()),
        Some(below) => below.display().to_string(),
        None => path.display().to_string(),
    };
    quoted(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_as_it_can_be_started_again() {
        for (started_as, expected) in [
            ("target/release/dcp-proxy", "target/release/dcp-proxy"),
            ("dcp-proxy", "dcp-proxy"),
            ("./dcp-proxy", "./dcp-proxy"),
            ("/srv/p/target/release/dcp-proxy", "target/release/dcp-proxy"),
            ("/srv/p/dcp-proxy", "./dcp-proxy"),
            ("/usr/bin/dcp-proxy", "/usr/bin/dcp-proxy"),
            ("/opt/a b/dcp-proxy", "'/opt/a b/dcp-proxy'"),
            ("", "/usr/bin/other"),
        ] {
            let file = Some(Path::new("/usr/bin/other"));
            let shown = shown(Path::new(started_as), file, Some(Path::new("/srv/p")));
            assert_eq!(shown, expected, "{started_as:?}");
        }
    }
}
