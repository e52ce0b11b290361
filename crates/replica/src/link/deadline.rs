//! The steps that the machine waits for, and their time limits.

use std::fmt;
use std::time::Duration;

use mcbp::Opaque;
use serde::Serialize;

/// A step that a command waits for. Its deadline is for progress: it restarts while any step of its
/// kind makes progress on the link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkStep {
    /// The consumer's answer to ADD_STREAM, including the producer's answer to STREAM_REQ.
    AddStream,
    /// The consumer's answer after the producer has refused the stream.
    Refusal,
    /// The answers of both sides to CLOSE_STREAM.
    CloseStream,
    /// A takeover, from ADD_STREAM to the acknowledgement of the active state.
    Takeover,
    /// The consumer's answers to all CLOSE_STREAMs of a shutdown.
    Shut,
}

impl fmt::Display for LinkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddStream => "add-stream",
            Self::Refusal => "refusal",
            Self::CloseStream => "close-stream",
            Self::Takeover => "takeover",
            Self::Shut => "shut",
        })
    }
}

/// One armed deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Deadline {
    /// The step.
    pub step: LinkStep,
    /// The attempt that waits. Opaques of attempts are unique on a link.
    pub opaque: Opaque,
}

/// The time limit of each step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepLimits {
    /// See [`LinkStep::AddStream`]. The consumer may have to roll back first, which takes a disk.
    pub add_stream: Duration,
    /// See [`LinkStep::Refusal`]. Only one frame from the consumer is missing then.
    pub refusal: Duration,
    /// See [`LinkStep::CloseStream`].
    pub close_stream: Duration,
    /// See [`LinkStep::Takeover`]. It restarts while data of the vBucket passes.
    pub takeover: Duration,
    /// See [`LinkStep::Shut`].
    pub shut: Duration,
}

impl StepLimits {
    /// Returns the time limit of `step`.
    #[must_use]
    pub const fn of(&self, step: LinkStep) -> Duration {
        match step {
            LinkStep::AddStream => self.add_stream,
            LinkStep::Refusal => self.refusal,
            LinkStep::CloseStream => self.close_stream,
            LinkStep::Takeover => self.takeover,
            LinkStep::Shut => self.shut,
        }
    }
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            add_stream: Duration::from_secs(60),
            refusal: Duration::from_millis(500),
            close_stream: Duration::from_secs(10),
            takeover: Duration::from_secs(300),
            shut: Duration::from_secs(5),
        }
    }
}
