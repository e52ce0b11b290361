//! What is said besides changes: one JSON line, with the field `event`, which no change has.

use std::io;

use mcbp::{Seqno, Status, StreamEndStatus, VbId};
use serde_json::{Map, Value, json};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The node has another history: lines of the vBucket after `to` are void.
    Rollback {
        /// The vBucket.
        vb: VbId,
        /// The last seqno that was shown, or passed over by a filter.
        from: Seqno,
        /// The last seqno that still holds.
        to: Seqno,
    },
    /// The node ended a stream, which is asked for again.
    StreamEnd {
        /// The vBucket.
        vb: VbId,
        /// Why.
        status: StreamEndStatus,
    },
    /// The node refused a stream, which is asked for again.
    Refused {
        /// The vBucket.
        vb: VbId,
        /// The status of its answer.
        status: Status,
    },
    /// The connection was lost; it is opened again.
    NodeLost {
        /// The error.
        why: String,
    },
    /// The connection is open again.
    NodeBack,
}

impl Notice {
    /// Its name, in the field `event`.
    #[must_use]
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Rollback { .. } => "rollback",
            Self::StreamEnd { .. } => "stream-end",
            Self::Refused { .. } => "refused",
            Self::NodeLost { .. } => "node-lost",
            Self::NodeBack => "node-back",
        }
    }

    /// Writes the line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let mut line = Map::new();
        line.insert("event".to_owned(), self.event().into());
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        match self {
            Self::Rollback { vb, from, to } => {
                put("vb", vb.0.into());
                put("from", from.0.into());
                put("to", to.0.into());
            }
            Self::StreamEnd { vb, status } => {
                put("vb", vb.0.into());
                put("status", json!(status.to_string()));
            }
            Self::Refused { vb, status } => {
                put("vb", vb.0.into());
                put("status", json!(status.to_string()));
            }
            Self::NodeLost { why } => {
                put("why", json!(why));
            }
            Self::NodeBack => {}
        }
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_its_event() {
        let line = |notice: &Notice| {
            let mut out = Vec::new();
            notice.write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let rollback = Notice::Rollback { vb: VbId(3), from: Seqno(120), to: Seqno(90) };
        let expected = "{\"event\":\"rollback\",\"from\":120,\"to\":90,\"vb\":3}\n";
        assert_eq!(line(&rollback), expected);
        let ended = Notice::StreamEnd { vb: VbId(3), status: StreamEndStatus::STATE_CHANGED };
        assert!(line(&ended).contains("\"stream-end\""), "{}", line(&ended));
        let refused = Notice::Refused { vb: VbId(3), status: Status::NOT_MY_VBUCKET };
        assert!(line(&refused).contains("NotMyVbucket"), "{}", line(&refused));
        let lost = Notice::NodeLost { why: "a \"quoted\"\nreason".to_owned() };
        assert_eq!(
            line(&lost),
            "{\"event\":\"node-lost\",\"why\":\"a \\\"quoted\\\"\\nreason\"}\n"
        );
        assert_eq!(line(&Notice::NodeBack), "{\"event\":\"node-back\"}\n");
    }
}
