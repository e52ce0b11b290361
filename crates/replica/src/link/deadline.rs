//! The waits of the machine, and how long each may last.

use std::fmt;
use std::time::Duration;

use mcbp::Opaque;
use serde::Serialize;

/// A step that something waits for. Its deadline is for progress: it starts anew as long as
/// anything of its kind moves on the link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The consumer's answer to ADD_STREAM, the producer's part included.
    AddStream,
    /// The consumer's answer after the producer has refused the stream.
    Refusal,
    /// The answers of both sides to CLOSE_STREAM.
    CloseStream,
    /// A takeover, from ADD_STREAM to the acknowledged active state.
    Takeover,
    /// The consumer's answers to all CLOSE_STREAMs of a shutdown.
    Shut,
}

impl fmt::Display for Step {
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

/// One armed deadline: the step, and the opaque of the attempt, which is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Deadline {
    /// What is waited for.
    pub step: Step,
    /// Which attempt waits.
    pub opaque: Opaque,
}

/// How long each step may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepLimits {
    /// See [`Step::AddStream`]. The consumer may have to roll back first, which takes a disk.
    pub add_stream: Duration,
    /// See [`Step::Refusal`]. Nothing but one frame from the consumer is missing then.
    pub refusal: Duration,
    /// See [`Step::CloseStream`].
    pub close_stream: Duration,
    /// See [`Step::Takeover`]. It starts anew as long as data of the vBucket passes.
    pub takeover: Duration,
    /// See [`Step::Shut`].
    pub shut: Duration,
}

impl StepLimits {
    /// The time that `step` may take.
    #[must_use]
    pub const fn of(&self, step: Step) -> Duration {
        match step {
            Step::AddStream => self.add_stream,
            Step::Refusal => self.refusal,
            Step::CloseStream => self.close_stream,
            Step::Takeover => self.takeover,
            Step::Shut => self.shut,
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
