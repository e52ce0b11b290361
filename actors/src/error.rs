//! What goes up from a failed command: one entry for each vBucket, with all that is known.

use replica::estimate::EstimateError;
use replica::link::{Retry, VbError};
use replica::loops::Broken;
use replica::stall::Stall;
use serde::Serialize;

use crate::status::LastError;

/// One vBucket that is not where a command wanted it.
///
/// The fields are those of the admin API's error answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VbFailure {
    /// The bucket.
    pub bucket: String,
    /// The producer it was to come from.
    pub producer: String,
    /// The vBucket.
    pub vbucket: u16,
    /// One word for programs, such as `stream-end` or `connect`.
    pub reason: String,
    /// What a data node answered, by name and number; `None` where none did.
    pub status: Option<String>,
    /// The whole story in one line, for a person.
    pub detail: String,
    /// When to ask again, such as `after-backoff`. The sidecar does so by itself.
    pub retry: String,
}

impl std::fmt::Display for VbFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bucket, producer, detail, .. } = self;
        write!(f, "bucket {bucket}, producer {producer}: {detail}")
    }
}

impl VbFailure {
    /// The failure of one stream.
    pub(crate) fn of_stream(bucket: &str, producer: &str, error: &VbError) -> Self {
        Self {
            bucket: bucket.to_owned(),
            producer: producer.to_owned(),
            vbucket: error.vb.0,
            reason: error.reason_code().to_owned(),
            status: error.status(),
            detail: error.to_string(),
            retry: error.retry().to_string(),
        }
    }

    /// A vBucket that could not be tried because its link is down.
    pub(crate) fn of_link(bucket: &str, producer: &str, vb: mcbp::VbId, why: &LinkDown) -> Self {
        Self {
            bucket: bucket.to_owned(),
            producer: producer.to_owned(),
            vbucket: vb.0,
            reason: why.code.to_owned(),
            status: why.status.clone(),
            detail: format!("{vb}: {}", why.detail),
            retry: Retry::AfterBackoff.to_string(),
        }
    }

    /// A vBucket of which the producer's estimate does not allow a takeover.
    pub(crate) fn of_estimate(
        bucket: &str,
        producer: &str,
        vb: mcbp::VbId,
        error: &EstimateError,
    ) -> Self {
        let status = match error {
            EstimateError::Status { status, .. } => Some(status.clone()),
            EstimateError::Missing { .. } => None,
        };
        Self {
            bucket: bucket.to_owned(),
            producer: producer.to_owned(),
            vbucket: vb.0,
            reason: "estimate".to_owned(),
            status,
            detail: error.to_string(),
            retry: Retry::AfterBackoff.to_string(),
        }
    }

    /// A vBucket whose copy here misses rows.
    pub(crate) fn of_incomplete(
        bucket: &str,
        producer: &str,
        vb: mcbp::VbId,
        complete_to: mcbp::Seqno,
    ) -> Self {
        Self {
            bucket: bucket.to_owned(),
            producer: producer.to_owned(),
            vbucket: vb.0,
            reason: "incomplete".to_owned(),
            status: None,
            detail: format!(
                "{vb}: the consumer refused a row and may have taken later ones, so its copy is \
                 complete only up to seqno {complete_to}; replicate the vBucket until its stream \
                 is open, which rolls the copy back first, and ask again"
            ),
            retry: Retry::AfterBackoff.to_string(),
        }
    }

    /// A vBucket that was not settled when the time was up.
    pub(crate) fn of_deadline(bucket: &str, producer: &str, vb: mcbp::VbId) -> Self {
        Self {
            bucket: bucket.to_owned(),
            producer: producer.to_owned(),
            vbucket: vb.0,
            reason: "deadline".to_owned(),
            status: None,
            detail: format!("{vb}: not settled within the deadline of the command"),
            retry: Retry::AfterBackoff.to_string(),
        }
    }
}

impl VbFailure {
    /// A vBucket of a set whose command was not carried out.
    pub(crate) fn of_command(
        bucket: &str,
        producer: &str,
        vb: mcbp::VbId,
        error: &CommandError,
    ) -> Self {
        let (reason, retry) = match error {
            CommandError::AlreadyMoving { .. } => ("already-moving", Retry::AfterBackoff),
            CommandError::Busy { .. } => ("busy", Retry::AfterBackoff),
            CommandError::Stopping => ("stopping", Retry::AfterBackoff),
            CommandError::NoBucket { .. }
            | CommandError::NoProducer { .. }
            | CommandError::Plan(_)
            | CommandError::Failed(_) => ("refused", Retry::Never),
        };
        Self {
            bucket: bucket.to_owned(),
            producer: producer.to_owned(),
            vbucket: vb.0,
            reason: reason.to_owned(),
            status: None,
            detail: format!("{vb}: {error}"),
            retry: retry.to_string(),
        }
    }
}

impl From<&VbError> for LastError {
    fn from(error: &VbError) -> Self {
        Self {
            reason: error.reason_code().to_owned(),
            status: error.status(),
            detail: error.to_string(),
            retry: error.retry().to_string(),
        }
    }
}

impl LastError {
    /// The error of a vBucket that is in a loop.
    pub(crate) fn looping(error: &VbError, broken: &Broken) -> Self {
        let detail = format!("{error}, in a {} loop: tried at the slowest pace", broken.kind);
        Self { reason: "loop".to_owned(), detail, ..Self::from(error) }
    }
}

impl From<&LinkDown> for LastError {
    fn from(down: &LinkDown) -> Self {
        let retry = match down.retry {
            relay::Retry::Soon => Retry::AtOnce,
            relay::Retry::AfterBackoff | relay::Retry::Slowly => Retry::AfterBackoff,
            relay::Retry::Never => Retry::Never,
        };
        Self {
            reason: down.code.to_owned(),
            status: down.status.clone(),
            detail: down.detail.clone(),
            retry: retry.to_string(),
        }
    }
}

/// Why a link is down, in the words of status pages and failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkDown {
    /// One word for programs.
    pub(crate) code: &'static str,
    /// What a data node answered, where one did.
    pub(crate) status: Option<String>,
    /// The whole story in one line.
    pub(crate) detail: String,
    /// Whether and when a new link may help.
    pub(crate) retry: relay::Retry,
}

/// The code of a link that was restarted because it stood still.
const STALLED: &str = "stalled";

impl LinkDown {
    /// A connection could not be opened, or was lost.
    pub(crate) fn of(error: &relay::LinkError) -> Self {
        Self {
            code: match &error.fault {
                relay::Fault::WriteStalled { .. } => STALLED,
                _ if error.status().is_some() => "refused",
                _ => "link-lost",
            },
            status: error.status().map(|status| format!("{status} ({:#04x})", status.0)),
            detail: error.to_string(),
            retry: error.retry(),
        }
    }

    /// It stands still.
    pub(crate) fn stalled(stall: &Stall) -> Self {
        let (detail, retry) = (stall.to_string(), relay::Retry::AfterBackoff);
        Self { code: STALLED, status: None, detail, retry }
    }

    /// The consumer will not roll back what it was told to.
    pub(crate) fn rollback_given_up(vb: mcbp::VbId) -> Self {
        let detail = format!("{vb} has to roll back, and the consumer does not serve it");
        Self { code: "link-lost", status: None, detail, retry: relay::Retry::AfterBackoff }
    }

    /// Whether the link was restarted because it stood still.
    pub(crate) fn is_stall(&self) -> bool {
        self.code == STALLED
    }

    /// The machine came to its end.
    pub(crate) fn stopped(reason: &replica::link::StopReason) -> Self {
        let retry = match reason {
            replica::link::StopReason::Shut => relay::Retry::Never,
            _ => relay::Retry::AfterBackoff,
        };
        Self { code: "link-lost", status: None, detail: reason.to_string(), retry }
    }
}

/// Why a command was not carried out at all, or not completely.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such bucket in the configuration.
    #[error("no bucket {bucket:?} is configured")]
    NoBucket {
        /// The name that was given.
        bucket: String,
    },
    /// There is no such producer in the configuration.
    #[error("no producer {producer:?} is configured")]
    NoProducer {
        /// The name that was given.
        producer: String,
    },
    /// What is asked for is no plan.
    #[error(transparent)]
    Plan(#[from] replica::plan::PlanError),
    /// Other commands of this bucket come first: too many, or without progress for too long.
    #[error("{waiting} commands of this bucket come first, try again later")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// A vBucket is moved once at a time.
    #[error(
        "{vb} is already being moved from {from}, or waits for its turn: see \"moves\" of the \
         replications, and ask again when it is not there any more"
    )]
    AlreadyMoving {
        /// The vBucket.
        vb: mcbp::VbId,
        /// The producer that the earlier command named.
        from: String,
    },
    /// Some vBuckets are not settled; the sidecar goes on trying.
    #[error("{} vBuckets failed, the first: {}", .0.len(), first(.0))]
    Failed(Vec<VbFailure>),
    /// Replication is being stopped.
    #[error("replication is being stopped")]
    Stopping,
}

fn first(failures: &[VbFailure]) -> String {
    failures.first().map(ToString::to_string).unwrap_or_default()
}
