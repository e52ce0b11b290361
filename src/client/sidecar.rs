//! Which sidecar to ask, and the token for it.

use std::path::Path;

use relay::Secret;
use ureq::http::uri::Authority;

use super::error::AskError;
pub(super) use super::known::Sidecar;
use super::known::{File, Known};
use super::parts::To;
use crate::config;

/// The environment variable with the token, which keeps it out of the list of processes.
const TOKEN_VARIABLE: &str = "DCP_PROXY_TOKEN";

/// The sidecar that the options name, else the configuration file, else the default address where
/// there is no file and none `is_named`.
///
/// The token of the file is sent only to the address of the file, and that of a session only to the
/// address of the session.
pub(super) fn find(
    to: &To,
    config: &Path,
    is_named: bool,
    file: File,
) -> Result<Sidecar, AskError> {
    let given = to.token.clone().or_else(|| std::env::var(TOKEN_VARIABLE).ok());
    let given = given.map(Secret::new);
    if let Some(url) = &to.admin {
        let url = checked(url)?;
        // Without a file there is nothing to know of it.
        let known = given.is_none().then(|| Known::read(config, File::Helps).ok()).flatten();
        return Ok(match known {
            Some(known) => {
                if known.has_session_of(&url) {
                    known.warn();
                }
                known.sidecar(url)
            }
            None => Sidecar::new(url, given),
        });
    }
    if !is_named && !config.exists() {
        return Ok(Sidecar::new(format!("http://{}", config::ADMIN_DEFAULT), given));
    }
    let known = Known::read(config, file).map_err(AskError::Usage)?;
    let url = known.url().map_err(|why| why.error(config))?;
    known.warn();
    match given {
        Some(_) => Ok(Sidecar::new(url, given)),
        None => Ok(known.sidecar(url)),
    }
}

/// The URL of `HOST:PORT` or of `http://HOST:PORT`, without a slash at the end.
fn checked(given: &str) -> Result<String, AskError> {
    let wrong = |why: &str| {
        let give = "give HOST:PORT, such as 127.0.0.1:4870 or [::1]:4870";
        Err(AskError::Usage(format!("invalid --admin {given:?}: {why}: {give}")))
    };
    let (rest, is_url) = match given.split_once("://") {
        Some(("http", rest)) => (rest, true),
        Some(("https", _)) => return wrong("the admin API has no TLS"),
        Some(_) => return wrong("it is no http:// URL"),
        None => (given, false),
    };
    let rest = rest.trim_end_matches('/');
    let Ok(authority) = rest.parse::<Authority>() else { return wrong("it is not an address") };
    if authority.host().is_empty() || rest.contains('@') {
        return wrong("it is not an address");
    }
    // A colon without a number behind it, or with one that is too large, leaves no port.
    let host_only = authority.host() == rest;
    match authority.port_u16() {
        Some(1..) => Ok(format!("http://{rest}")),
        None if is_url && host_only => Ok(format!("http://{rest}")),
        None if host_only => wrong("the port is missing"),
        _ => wrong("the port is not between 1 and 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme_and_a_wrong_one_says_what_to_give() {
        for (given, url) in [
            ("127.0.0.1:4870", "http://127.0.0.1:4870"),
            ("[::1]:4870", "http://[::1]:4870"),
            ("localhost:4870/", "http://localhost:4870"),
            ("beta.example:1", "http://beta.example:1"),
            ("http://127.0.0.1:4870/", "http://127.0.0.1:4870"),
            ("http://[::1]:4870", "http://[::1]:4870"),
            ("http://beta.example", "http://beta.example"),
        ] {
            assert_eq!(checked(given).unwrap(), url, "{given}");
        }
        for (given, why) in [
            ("", "it is not an address"),
            ("http://", "it is not an address"),
            (":4870", "it is not an address"),
            ("::1:4870", "it is not an address"),
            ("a b:1", "it is not an address"),
            ("user@127.0.0.1:4870", "it is not an address"),
            ("127.0.0.1:4870/status", "it is not an address"),
            ("https://127.0.0.1:4870", "the admin API has no TLS"),
            ("unix:///run/x", "it is no http:// URL"),
            ("127.0.0.1", "the port is missing"),
            ("[::1]", "the port is missing"),
            ("127.0.0.1:", "the port is not between 1 and 65535"),
            ("127.0.0.1:0", "the port is not between 1 and 65535"),
            ("http://127.0.0.1:70000", "the port is not between 1 and 65535"),
        ] {
            let error = checked(given).unwrap_err();
            let text = format!(
                "invalid --admin {given:?}: {why}: give HOST:PORT, such as 127.0.0.1:4870 or \
                 [::1]:4870"
            );
            assert_eq!((error.to_string(), error.exit()), (text, super::super::Exit::Wrong));
        }
    }
}
