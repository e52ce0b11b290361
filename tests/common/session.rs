//! The token that changes of a running sidecar need.

use std::path::Path;

use serde_json::Value;

/// The token of the sidecar that has this `[state] directory`, read from `session.json` as every
/// program does; `None` where there is no such file, or a token is configured.
pub fn session_token(state: &Path) -> Option<String> {
    let text = std::fs::read_to_string(state.join("session.json")).ok()?;
    let session: Value = serde_json::from_str(&text).unwrap();
    session["token"].as_str().map(str::to_owned)
}
