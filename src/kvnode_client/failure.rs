//! Why a command has no good answer, and the exit code that says so.

use mcbp::Opcode;
use relay::{ConnectionStep, Fault, LinkError};
use serde_json::{Value, json};

const FAILED: u8 = 1;
const WRONG: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: u8,
    /// One line: what, where, what to do.
    pub(super) text: String,
    /// Further fields for programs, beside the text.
    pub(super) details: Value,
}

impl Failure {
    /// The command line or a file is wrong.
    pub(super) fn wrong(text: impl Into<String>) -> Self {
        Self { exit: WRONG, text: text.into(), details: json!({}) }
    }

    /// The node did not do it.
    pub(super) fn failed(text: impl Into<String>, details: Value) -> Self {
        Self { exit: FAILED, text: text.into(), details }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let address = &error.peer.address;
        let (exit, remedy) = match &error.fault {
            Fault::Connect { .. } => (FAILED, ": is it running, is --node right?"),
            Fault::TimedOut { step, .. } if is_before_login(*step) => {
                (FAILED, ": is it a data node, does it use TLS (--ca)?")
            }
            Fault::Closed { step, .. } | Fault::Broken { step, .. } if is_before_login(*step) => {
                (FAILED, ": is it a data node, does it use TLS (--ca)? Its log may say why")
            }
            Fault::Garbage { step, .. } if is_before_login(*step) => (
                FAILED,
                ": is this the port of a data node, such as 11210, and not one for HTTP? \
                 Does it use TLS (--ca)?",
            ),
            Fault::TimedOut { .. } | Fault::Closed { .. } | Fault::Broken { .. } => {
                (FAILED, ": does it still run? Its log may say why")
            }
            Fault::PlainOnly { .. } => (WRONG, " (here: --ca FILE)"),
            Fault::Tls(_) => (FAILED, ": the options are --ca FILE and --server-name"),
            Fault::Login { .. } => (WRONG, ""),
            Fault::NoBucket { .. } => (WRONG, ": give another --bucket"),
            _ => (FAILED, ""),
        };
        let text = format!("{error}{remedy}");
        Self { exit, text, details: json!({ "node": &**address }) }
    }
}

/// Whether the other end has not shown yet that it is a data node.
const fn is_before_login(step: ConnectionStep) -> bool {
    use ConnectionStep::{Connect, Request, Tls};
    matches!(
        step,
        Connect | Tls | Request(Opcode::HELLO | Opcode::SASL_LIST_MECHS | Opcode::SASL_AUTH)
    )
}
