//! Why a vBucket, a link or a command failed. The cause stays typed up to the views, which turn it
//! into text.

use std::fmt;

use mcbp::{Seqno, Side, VbId};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::link_down::LinkDown;
use crate::estimate::EstimateError;
use crate::link::{LinkStep, NodeAnswer, Reason, ReasonCode, Retry, VbError};
use crate::loops::LoopKind;
use crate::remedy::Remedy;

/// Why a vBucket or a link is not as it should be.
///
/// Serializes as the admin API shows it: `reason`, `status`, `detail` and `retry`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// Its stream failed or ended.
    Stream(VbError),
    /// Its stream fails repeatedly, and is retried at the longest backoff only.
    Loop(VbError, LoopKind),
    /// Its stream failed, because the state of the vBucket at a node does not fit, as the text
    /// says.
    Misfit(String, Box<Cause>),
    /// Its link is down.
    Link(LinkDown),
    /// It is not asked for, because it is active at the consumer.
    ActiveHere {
        /// The name of the consumer.
        node: String,
    },
    /// Its stream was to be closed and may still be open at a node.
    Unclosed(VbError),
    /// The producer's estimate does not allow a takeover.
    Estimate(EstimateError),
    /// The consumer's copy may lack rows after this seqno.
    Incomplete(Seqno),
    /// It was not settled at the deadline of its command.
    Deadline,
    /// The command for it was refused.
    NotBegun {
        /// The reason code.
        code: ReasonCode,
        /// The reason, for the operator.
        detail: String,
        /// When to retry.
        retry: Retry,
    },
    /// Its takeover failed for this cause, and both nodes were asked for their copies.
    Examined(Box<Examined>),
}

/// The finding after a failed takeover.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Examined {
    /// How the takeover failed, by what its link saw.
    pub cause: Cause,
    /// The copies of both nodes.
    pub found: String,
    /// The error of the repair, where one was tried.
    pub repair: Option<String>,
    /// What to do about the copies.
    pub remedy: Remedy,
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)?;
        if let Some(error) = &self.repair {
            write!(f, ", {error}")?;
        }
        match self.remedy {
            Remedy::Activate | Remedy::GiveBack => {
                f.write_str(": retry the takeover, which continues from this state")
            }
            Remedy::Ask(advice) => write!(f, ": {advice}"),
            Remedy::AsBefore | Remedy::Done => Ok(()),
        }
    }
}

impl Cause {
    /// Returns the reason code.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::Stream(error) => error.reason_code(),
            Self::Loop(..) => ReasonCode::Loop,
            Self::Misfit(_, cause) => cause.reason(),
            Self::Link(down) => down.code,
            Self::ActiveHere { .. } => ReasonCode::ActiveHere,
            Self::Unclosed(error) => error.reason_code(),
            Self::Estimate(_) => ReasonCode::Estimate,
            Self::Incomplete(_) => ReasonCode::Incomplete,
            Self::Deadline => ReasonCode::Deadline,
            Self::NotBegun { code, .. } => *code,
            Self::Examined(examined) => examined.cause.reason(),
        }
    }

    /// Returns the side at fault, if one is.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Stream(error) | Self::Loop(error, _) | Self::Unclosed(error) => Some(error.side),
            Self::Misfit(_, cause) => cause.side(),
            Self::Link(down) => down.side,
            Self::Estimate(_) => Some(Side::Producer),
            Self::Incomplete(_) | Self::ActiveHere { .. } => Some(Side::Consumer),
            Self::Deadline | Self::NotBegun { .. } => None,
            Self::Examined(examined) => examined.cause.side(),
        }
    }

    /// Returns what a data node answered, if one did.
    #[must_use]
    pub fn answer(&self) -> Option<NodeAnswer> {
        match self {
            Self::Stream(error) | Self::Loop(error, _) | Self::Unclosed(error) => error.answer(),
            Self::Misfit(_, cause) => cause.answer(),
            Self::Link(down) => down.answer.clone(),
            Self::Estimate(EstimateError::Status { status, .. }) => {
                Some(NodeAnswer::Text(status.clone()))
            }
            Self::Estimate(EstimateError::Missing { .. })
            | Self::Incomplete(_)
            | Self::ActiveHere { .. }
            | Self::Deadline
            | Self::NotBegun { .. } => None,
            Self::Examined(examined) => examined.cause.answer(),
        }
    }

    /// Returns when to retry. The sidecar retries streams by itself.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Stream(error) | Self::Loop(error, _) => error.retry(),
            Self::Misfit(_, cause) => cause.retry(),
            Self::Link(down) => down.retry(),
            Self::Estimate(_) | Self::Incomplete(_) | Self::Deadline | Self::Unclosed(_) => {
                Retry::AfterBackoff
            }
            Self::ActiveHere { .. } => Retry::Never,
            Self::NotBegun { retry, .. } => *retry,
            Self::Examined(examined) => match examined.remedy {
                Remedy::Activate | Remedy::GiveBack => Retry::AtOnce,
                Remedy::Ask(_) | Remedy::AsBefore | Remedy::Done => examined.cause.retry(),
            },
        }
    }

    /// Returns the full text in one line, for the operator; with `vb` where the cause concerns one
    /// vBucket.
    #[must_use]
    pub fn detail(&self, vb: Option<VbId>) -> String {
        let named = |text: &dyn fmt::Display| match vb {
            Some(vb) => format!("{vb}: {text}"),
            None => text.to_string(),
        };
        match self {
            Self::Stream(error) => error.to_string(),
            Self::Loop(error, kind) => {
                format!("{error}, in a {kind} loop: retried at the longest backoff")
            }
            Self::Misfit(text, cause) => format!("{text}; {}", cause.detail(vb)),
            Self::Link(down) => named(&down.detail),
            Self::ActiveHere { node } => named(&format_args!(
                "active at {node}, so it is not asked for; if another node is to serve it, set it \
                 replica at {node} with SET_VBUCKET, and its stream opens by itself; else take it \
                 out of what is replicated"
            )),
            Self::Unclosed(error) => format!("{error}{}", left_open(&error.reason)),
            Self::Estimate(error) => error.to_string(),
            Self::Incomplete(complete_to) => named(&format_args!(
                "the consumer refused a row and may have taken later ones, so its copy is complete \
                 only up to seqno {complete_to}; replicate the vBucket until its stream is open, \
                 which rolls the copy back first, and ask again"
            )),
            Self::Deadline => named(&"not settled within the deadline of the command"),
            Self::NotBegun { detail, .. } => named(detail),
            Self::Examined(examined) => format!("{}; {examined}", examined.cause.detail(vb)),
        }
    }

    /// Serializes the fields that all views of a cause share.
    fn serialize_into<S: Serializer>(
        &self,
        vb: Option<VbId>,
        fields: &mut S::SerializeStruct,
    ) -> Result<(), S::Error> {
        fields.serialize_field("side", &self.side().map(|side| side.to_string()))?;
        fields.serialize_field("reason", self.reason().name())?;
        fields.serialize_field("status", &self.answer().map(|answer| answer.to_string()))?;
        fields.serialize_field("detail", &self.detail(vb))?;
        fields.serialize_field("retry", self.retry().name())
    }
}

/// Returns what became of a stream that could not be closed, and what to do.
const fn left_open(reason: &Reason) -> &'static str {
    match reason {
        Reason::Deadline(LinkStep::Shut) => {
            "; the connections of its link were closed all the same, and its stream ends with them \
             once the node notices"
        }
        _ => "; its stream may still be open there, restart the link to be sure",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail(None))
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Cause", 5)?;
        self.serialize_into::<S>(None, &mut fields)?;
        fields.end()
    }
}

/// One vBucket for which a command failed.
///
/// Serializes as an entry of the admin API's error answers: `bucket`, `producer`, `vbucket` and the
/// fields of its [`Cause`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct VbFailure {
    /// The bucket.
    pub bucket: String,
    /// The producer that the command named.
    pub producer: String,
    /// The vBucket.
    pub vb: VbId,
    /// Why.
    pub cause: Cause,
}

impl VbFailure {
    /// Returns the full text in one line, for the operator.
    #[must_use]
    pub fn detail(&self) -> String {
        self.cause.detail(Some(self.vb))
    }
}

impl fmt::Display for VbFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket {}, producer {}: {}", self.bucket, self.producer, self.detail())
    }
}

impl Serialize for VbFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("VbFailure", 8)?;
        fields.serialize_field("bucket", &self.bucket)?;
        fields.serialize_field("producer", &self.producer)?;
        fields.serialize_field("vbucket", &self.vb.0)?;
        self.cause.serialize_into::<S>(Some(self.vb), &mut fields)?;
        fields.end()
    }
}
