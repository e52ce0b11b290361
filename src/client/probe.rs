//! Asks the sidecar of a configuration what it is, for `doctor`.

use std::net::SocketAddr;

use relay::Secret;
use serde_json::Value;

use super::error::AskError;
use super::http::Http;
use super::sidecar::Sidecar;
use super::views::Status;
use crate::session::reachable;

/// What answers at the address of the admin API.
pub(crate) enum Probe {
    /// The address is not known.
    Unknown(String),
    /// Nothing listens there.
    Silent(String),
    /// What answers is no sidecar of ours.
    Stranger(String),
    /// A sidecar.
    Answers {
        /// Its URL.
        url: String,
        /// `GET /api/v1/status`.
        status: Value,
        /// `GET /config`; null where it is refused.
        config: Value,
    },
}

/// Asks the sidecar at `listen`. Blocks.
pub(crate) fn probe(listen: SocketAddr, token: Option<Secret>) -> Probe {
    if listen.port() == 0 {
        return Probe::Unknown("[admin] listen has port 0, so the port is unknown".to_owned());
    }
    let url = format!("http://{}", reachable(listen));
    let http = Http::new(Sidecar::new(url.clone(), token));
    let status = http.get("/api/v1/status").and_then(|status| {
        http.read::<Status>(&status)?;
        Ok(status)
    });
    match status {
        Ok(status) => {
            let config = http.get("/config").unwrap_or_default();
            Probe::Answers { url, status, config }
        }
        // Only a refusal shows that nothing listens. What hangs may be a sidecar that is frozen,
        // and what wants another token is one.
        Err(error) if error.is_refused_connection() => Probe::Silent(error.to_string()),
        Err(error @ AskError::Unexpected { .. }) => Probe::Stranger(error.to_string()),
        Err(error) => Probe::Unknown(error.to_string()),
    }
}
