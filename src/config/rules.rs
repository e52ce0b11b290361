//! The parsers of single values. Each returns the value, or a text that says what is allowed.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use mcbp::VbState;
use relay::Secret;

use super::Environment;
use super::file::Secret as Written;

/// The longest name of a node or bucket, in bytes: connection names must fit the protocol.
const NAME_BYTES_MAX: usize = 100;

/// As much of a file is read as a secret at most; nodes accept no longer one.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A name of a node.
pub(super) fn node_name(text: &str) -> Result<String, String> {
    name(text, "-_.%@:[]")
}

/// A name of a bucket.
pub(super) fn bucket_name(text: &str) -> Result<String, String> {
    name(text, "-_.%")
}

fn name(text: &str, others: &str) -> Result<String, String> {
    let good = |char: char| char.is_ascii_alphanumeric() || others.contains(char);
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    let allowed = format!("give 1 to {NAME_BYTES_MAX} letters, digits or any of {others}");
    Err(format!("{text:?} is not a name: {allowed}"))
}

/// The address of a data node: host name or IP address, and port.
pub(super) fn address(text: &str) -> Result<String, String> {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_is_good = match host.strip_prefix('[') {
            Some(v6) => v6.ends_with(']'),
            None => !host.is_empty() && !host.contains([':', '/', ' ']),
        };
        host_is_good && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    let wrong = || format!("{text:?} is not an address: give host:port, such as 127.0.0.1:11210");
    good.then(|| text.to_owned()).ok_or_else(wrong)
}

/// What the keys in etcd begin with; a slash at the end is left out.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    let good = |char: char| char.is_ascii_graphic();
    let prefix = text.trim_end_matches('/');
    if (1..=NAME_BYTES_MAX).contains(&prefix.len()) && prefix.chars().all(good) {
        return Ok(prefix.to_owned());
    }
    Err(format!("{text:?} is not a prefix of keys: give a text such as /dcp-proxy"))
}

/// An address to listen on: IP address and port.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| format!("{text:?} is not an address: give ip:port, such as 127.0.0.1:4870");
    text.parse().map_err(wrong)
}

/// The state in which an embedded node creates its vBuckets.
pub(super) fn state(text: &str) -> Result<VbState, String> {
    match text {
        "active" => Ok(VbState::Active),
        "replica" => Ok(VbState::Replica),
        _ => Err(format!("{text:?} is not a state: give active or replica")),
    }
}

/// Reads a secret from where it is kept. The error text never contains a secret.
pub(super) fn secret(
    written: &Written,
    folder: &Path,
    environment: Environment<'_>,
) -> Result<Secret, String> {
    match written {
        Written::Literal(text) => usable(text, "the text").map(Secret::new),
        Written::File(path) => Secret::in_file(folder.join(path), secret_in_file),
        Written::Env(name) => {
            let text = environment(name);
            let text = text.ok_or_else(|| format!("environment variable {name} is not set"))?;
            usable(&text, &format!("environment variable {name}")).map(Secret::new)
        }
    }
}

fn secret_in_file(path: &Path) -> Result<String, String> {
    let name = path.display();
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| format!("file {name} could not be read: {error}"))?;
    // Editors append a newline, which is not part of the secret.
    usable(text.trim_end_matches(['\r', '\n']), &format!("file {name}"))
}

fn usable(text: &str, place: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('\0') {
        return Err(format!(
            "{place} is empty or has a zero byte: give a secret of at least 1 byte"
        ));
    }
    Ok(text.to_owned())
}
