//! The log lines that strangers can cause: a few of each kind are logged, then their number; names
//! are cut.

use std::fmt::{self, Write as _};

use futures::future::join_all;
use log::warn;
use tokio_util::sync::CancellationToken;

use crate::log_limit::LogLimit;

/// How much of a name is logged.
const NAME_CHARS_MAX: usize = 64;

/// One limit for each kind of line.
#[derive(Default)]
pub(crate) struct StrangerLines {
    pub(crate) refused: LogLimit,
    pub(crate) evicted: LogLimit,
    pub(crate) not_authenticated: LogLimit,
    pub(crate) malformed: LogLimit,
    pub(crate) tls: LogLimit,
    pub(crate) wrong_password: LogLimit,
    pub(crate) not_tried: LogLimit,
    pub(crate) socket: LogLimit,
    pub(crate) no_memory: LogLimit,
    pub(crate) stalled: LogLimit,
}

impl StrangerLines {
    /// Logs how many lines of each kind were suppressed, until `shutdown`.
    pub(crate) async fn report(&self, shutdown: &CancellationToken) {
        let kinds = [
            ("connection rejected", &self.refused),
            ("connection closed to make room", &self.evicted),
            ("not authenticated in time", &self.not_authenticated),
            ("malformed frame", &self.malformed),
            ("TLS handshake failed", &self.tls),
            ("authentication failed", &self.wrong_password),
            ("login refused without a look at its password", &self.not_tried),
            ("cannot set up a socket", &self.socket),
            ("request refused for want of memory", &self.no_memory),
            ("no byte moved", &self.stalled),
        ];
        join_all(kinds.map(|(of, limit)| async move {
            let log = |count| warn!("suppressed messages of={of:?} suppressed={count}");
            limit.report(shutdown, log).await;
        }))
        .await;
    }
}

/// A name that a peer gave, as it is logged: quoted, escaped, and cut.
pub(crate) struct Name<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A character has at most four bytes.
        let front = self.0.get(..NAME_CHARS_MAX * 4).unwrap_or(self.0);
        let text = String::from_utf8_lossy(front);
        let cut: String = text.chars().take(NAME_CHARS_MAX).collect();
        f.write_char('"')?;
        write!(f, "{}", cut.escape_debug())?;
        if text.chars().count() > NAME_CHARS_MAX {
            write!(f, "... ({} bytes)", self.0.len())?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_escaped_and_cut() {
        let shown = |name: &[u8]| Name(name).to_string();
        assert_eq!(shown(b"@proxy"), "\"@proxy\"");
        assert_eq!(shown(b"a\"\n\x01"), "\"a\\\"\\n\\u{1}\"");
        assert_eq!(shown(&[0xff]), "\"\u{fffd}\"");
        assert_eq!(shown(&[b'x'; 64]), format!("\"{}\"", "x".repeat(64)));
        assert_eq!(shown(&[b'x'; 15_000]), format!("\"{}... (15000 bytes)\"", "x".repeat(64)));
        assert!(shown(&[1; 15_000]).len() < 500);
    }
}
