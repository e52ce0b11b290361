//! Why a request failed: the status on the wire, and a text for people.

use std::time::Duration;

use mcbp::{FrameError, Status, VbState};
use vbucket::StoreError;
use vbucket::collections::PathError;

use crate::bucket::{CommitError, PendingCommit, VbError, WriteRefusal};
use crate::privilege::Denied;

/// A failed request.
#[derive(Debug)]
pub(crate) struct RequestError {
    /// The status of the answer.
    pub(crate) status: Status,
    /// What was wrong, for clients that negotiated XERROR; may be empty.
    pub(crate) context: String,
    /// The commit of what the answer is based on, if that is not durable yet.
    pub(crate) commit: Option<PendingCommit>,
    /// How long the answer waits, so that failed logins take their time.
    pub(crate) delay: Duration,
}

impl RequestError {
    #[allow(clippy::needless_pass_by_value, reason = "an error or a text, made for this call")]
    pub(crate) fn new(status: Status, context: impl ToString) -> Self {
        Self { status, context: context.to_string(), commit: None, delay: Duration::ZERO }
    }
}

impl From<Status> for RequestError {
    fn from(status: Status) -> Self {
        Self { status, context: String::new(), commit: None, delay: Duration::ZERO }
    }
}

impl From<FrameError> for RequestError {
    fn from(error: FrameError) -> Self {
        Self::new(Status::EINVAL, error)
    }
}

impl From<Denied> for RequestError {
    fn from(Denied(text): Denied) -> Self {
        Self::new(Status::EACCESS, text)
    }
}

impl From<CommitError> for RequestError {
    fn from(error: CommitError) -> Self {
        Self::new(status_of(&error), error)
    }
}

/// The status of the answer to a change that was not committed. What the store cannot store is not
/// stored by another try either.
pub(crate) const fn status_of(error: &CommitError) -> Status {
    match error {
        CommitError::Unstorable(_) => Status::EINTERNAL,
        CommitError::Ambiguous => Status::SYNC_WRITE_AMBIGUOUS,
        CommitError::Store(_)
        | CommitError::Refusing(_)
        | CommitError::QueueFull
        | CommitError::Late
        | CommitError::Closed => Status::ETMPFAIL,
    }
}

impl From<PathError> for RequestError {
    fn from(error: PathError) -> Self {
        match error {
            PathError::UnknownScope => Status::UNKNOWN_SCOPE.into(),
            PathError::UnknownCollection => Status::UNKNOWN_COLLECTION.into(),
            PathError::Malformed => {
                let context = "give scope.collection; a name has letters, digits and _ - % $";
                Self::new(Status::EINVAL, context)
            }
        }
    }
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        Self::new(Status::EINTERNAL, error)
    }
}

impl From<WriteRefusal> for RequestError {
    fn from(refusal: WriteRefusal) -> Self {
        match refusal {
            WriteRefusal::Status(status) => status.into(),
            WriteRefusal::Blocked(_) => Self::new(Status::SYNC_WRITE_IN_PROGRESS, refusal),
            WriteRefusal::Impossible { .. } => Self::new(Status::DURABILITY_IMPOSSIBLE, refusal),
            WriteRefusal::After(status, commit) => Self { commit: Some(commit), ..status.into() },
            WriteRefusal::Vb(error) => error.into(),
        }
    }
}

impl From<VbError> for RequestError {
    fn from(error: VbError) -> Self {
        let status = match &error {
            VbError::NotReady(_) => Status::ETMPFAIL,
            VbError::Commit(error) => status_of(error),
            VbError::WrongState { state: VbState::Pending, .. } => Status::ETMPFAIL,
            VbError::NoVbucket(_) | VbError::WrongState { .. } => Status::NOT_MY_VBUCKET,
            VbError::OutOfRange { .. } | VbError::Gap { .. } | VbError::NotMonotonic { .. } => {
                Status::ERANGE
            }
            VbError::UnknownCollection { .. } => Status::UNKNOWN_COLLECTION,
            VbError::Recommit(_) => Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS,
            VbError::Failover(_) => Status::EINVAL,
            VbError::Exhausted { .. } | VbError::Store(_) | VbError::Broken(_) => Status::EINTERNAL,
        };
        // NOT_MY_VBUCKET is routine: no text is sent, clients refresh their map.
        if status == Status::NOT_MY_VBUCKET { status.into() } else { Self::new(status, error) }
    }
}
