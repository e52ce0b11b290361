//! Values that both the command line and the file may give.

use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;
use mcbp::VbState;
use relay::Secret;

/// The state of vBuckets in a new store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum InitialState {
    Active,
    Replica,
    /// No vBuckets
    None,
}

impl std::fmt::Display for InitialState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Replica => "replica",
            Self::None => "none",
        })
    }
}

impl InitialState {
    pub(super) const fn vb_state(self) -> Option<VbState> {
        match self {
            Self::Active => Some(VbState::Active),
            Self::Replica => Some(VbState::Replica),
            Self::None => None,
        }
    }
}

/// Reads an address to listen on.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| format!("{text:?} is not an address: give ip:port, such as 127.0.0.1:11210");
    text.parse().map_err(wrong)
}

/// The password in a file, which is read again once it has changed. One line break at its end is
/// ignored.
///
/// # Errors
/// What is wrong with the file, with its name.
pub fn password(path: &Path) -> Result<Secret, String> {
    Secret::in_file(path.to_owned(), read_password)
}

fn read_password(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("file {} could not be read: {error}", path.display()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        Err(format!("file {} is empty: write the password into it", path.display()))
    } else {
        Ok(line.to_owned())
    }
}

/// Reads `NAME` or `NAME:VBUCKETS`.
pub(super) fn parse_bucket(text: &str) -> Result<(String, Option<u16>), String> {
    match text.split_once(':') {
        None => Ok((text.to_owned(), None)),
        Some((name, count)) => {
            let count = count
                .parse()
                .map_err(|_| format!("{count:?} is not a number of vBuckets: give 1 to 1024"))?;
            Ok((name.to_owned(), Some(count)))
        }
    }
}

/// A configuration to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Printed {
    /// The whole file with every setting, its default and a comment
    Default,
    /// The values of file and environment, and where each comes from
    Effective,
}
