//! The parsers of single values. Each returns the value, or a text that says what is allowed.

use std::net::SocketAddr;
use std::path::Path;

use mcbp::VbState;

use super::Environment;
use super::file::Secret as Written;

/// The longest name of a node or bucket, in bytes: connection names must fit the protocol.
const NAME_BYTES_MAX: usize = 100;

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
) -> Result<String, String> {
    let (found, place) = match written {
        Written::Literal(text) => (text.clone(), "the text".to_owned()),
        Written::File(path) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("file {} could not be read: {error}", path.display()))?;
            // Editors append a newline, which is not part of the secret.
            (text.trim_end_matches(['\r', '\n']).to_owned(), format!("file {}", path.display()))
        }
        Written::Env(name) => {
            let unset = || format!("environment variable {name} is not set");
            (environment(name).ok_or_else(unset)?, format!("environment variable {name}"))
        }
    };
    if found.is_empty() || found.contains('\0') {
        return Err(format!(
            "{place} is empty or has a zero byte: give a secret of at least 1 byte"
        ));
    }
    Ok(found)
}
