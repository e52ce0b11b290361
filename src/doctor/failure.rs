//! Why a step with a data node failed, as far as the rules tell failures apart.

use mcbp::{Feature, Status};
use relay::{Fault, LinkError};

/// A failure. The texts are those of [`Fault`], without the name of the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// No TCP connection.
    Connect(String),
    /// No TLS.
    Tls(String),
    /// No answer in time.
    Silent(String),
    /// User or password are refused.
    Login(String),
    /// No mechanism is offered that may be used.
    Mechanism(String),
    /// The bucket does not exist or may not be opened.
    NoBucket(String),
    /// Features that replication needs are missing.
    Features(Vec<Feature>),
    /// The node loads its data.
    WarmingUp,
    /// An error status.
    Refused(Status, String),
    /// Anything else: the connection is unusable.
    Broken(String),
}

impl Failure {
    pub(crate) fn of(error: &LinkError) -> Self {
        let text = error.fault.to_string();
        match &error.fault {
            Fault::Connect { .. } => Self::Connect(text),
            Fault::Tls(_) => Self::Tls(text),
            Fault::TimedOut { .. } => Self::Silent(text),
            Fault::Login { .. } => Self::Login(text),
            Fault::Mechanism { .. } | Fault::PlainOnly { .. } => Self::Mechanism(text),
            Fault::NoBucket { .. } => Self::NoBucket(text),
            Fault::Features { missing } => Self::Features(missing.clone()),
            Fault::WarmingUp => Self::WarmingUp,
            Fault::Refused { status, .. } => Self::Refused(*status, text),
            _ => Self::Broken(text),
        }
    }

    /// Whether the node answered, so that the connection may be used for more requests.
    pub(super) const fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(..))
    }

    /// What happened, as a sentence about the node.
    pub(crate) fn sentence(&self) -> String {
        let text = match self {
            Self::Connect(text)
            | Self::Tls(text)
            | Self::Silent(text)
            | Self::Login(text)
            | Self::Mechanism(text)
            | Self::NoBucket(text)
            | Self::Refused(_, text)
            | Self::Broken(text) => text.clone(),
            Self::Features(missing) => Fault::Features { missing: missing.clone() }.to_string(),
            Self::WarmingUp => Fault::WarmingUp.to_string(),
        };
        // The text of a fault follows the name of the node; some have a subject of their own.
        match self {
            Self::Connect(_) | Self::Silent(_) => text,
            _ if text.starts_with("connection ") => format!("the {text}"),
            _ => format!("the node {text}"),
        }
    }
}
