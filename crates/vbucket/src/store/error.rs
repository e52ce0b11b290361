//! Why a store could not do what was asked, and how far that reaches.

use mcbp::{Seqno, VbId};

/// How far an error of the store reaches. An error of a row or a vBucket stays there: the others
/// are served as before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// One row, and with it what would follow it in its vBucket.
    Row,
    /// One vBucket.
    Vbucket,
    /// Every vBucket of the store.
    Bucket,
    /// Everything on the disk: it is full, read-only or gone, or a write failed.
    Medium,
}

/// Why the store could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Bytes on disk are not the bytes that were written.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// Which part, such as "vb:7 seqno 12" or a file name.
        what: String,
        /// What was found.
        detail: String,
    },
    /// The operating system reported an error: the disk is full, read-only, gone.
    #[error("{doing}: {detail}")]
    Io {
        /// What was being done, such as "committing 12 rows".
        doing: &'static str,
        /// The OS error.
        detail: String,
    },
    /// An earlier sync failed and stopped all writing; the node must be restarted.
    #[error("writing stopped until a restart, because a write failed: {0}")]
    Poisoned(String),
    /// A defect of this program.
    #[error(transparent)]
    Broken(#[from] invariant::Broken),
    /// The vBucket is not in the store.
    #[error("{0} is not in the store")]
    NoVbucket(VbId),
    /// A batch would lower the seqno of a vBucket; only [`super::Store::rollback`] may do that.
    #[error("{vb} is at seqno {high}, a commit cannot take it to {seqno}")]
    OutOfOrder {
        /// The vBucket.
        vb: VbId,
        /// Its high seqno, or the seqno of the row before in the batch.
        high: Seqno,
        /// The seqno in the batch: of a row at or below `high`, or of a record below.
        seqno: Seqno,
    },
    /// A row that the store has no form for.
    #[error("committing: {vb} seqno {seqno}: {detail}")]
    Unstorable {
        /// The vBucket.
        vb: VbId,
        /// The seqno of the row.
        seqno: Seqno,
        /// What does not fit, and what would.
        detail: String,
    },
    /// The parts of some vBuckets in a batch; at least one. The rest of the batch can be committed.
    #[error("{}", summary(.0))]
    Parts(Vec<PartError>),
}

/// Why the part of one vBucket in a batch could not be committed.
#[derive(Clone, Debug)]
pub struct PartError {
    /// The vBucket.
    pub vb: VbId,
    /// How far the error reaches within the vBucket: [`Scope::Row`] or [`Scope::Vbucket`].
    pub scope: Scope,
    /// The error itself.
    pub error: StoreError,
}

impl StoreError {
    /// How far the error reaches.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Unstorable { .. } => Scope::Row,
            Self::NoVbucket(_) | Self::OutOfOrder { .. } => Scope::Vbucket,
            Self::Parts(parts) => {
                parts.iter().map(|part| part.scope).max().unwrap_or(Scope::Bucket)
            }
            Self::Damaged { .. } | Self::Broken(_) => Scope::Bucket,
            Self::Io { .. } | Self::Poisoned(_) => Scope::Medium,
        }
    }

    /// The vBuckets that an error of a commit is confined to, each with its own error; none where
    /// nothing can be committed.
    #[must_use]
    pub fn parts(&self) -> Vec<PartError> {
        let of = |vb| vec![PartError { vb, scope: self.scope(), error: self.clone() }];
        match self {
            Self::Parts(parts) => parts.clone(),
            Self::NoVbucket(vb) => of(*vb),
            Self::OutOfOrder { vb, .. } | Self::Unstorable { vb, .. } => of(*vb),
            Self::Damaged { .. } | Self::Broken(_) | Self::Io { .. } | Self::Poisoned(_) => {
                Vec::new()
            }
        }
    }
}

/// The first part in full, and how many there are.
fn summary(parts: &[PartError]) -> String {
    match parts {
        [] => "no vBucket".to_owned(),
        [PartError { vb, error, .. }] => format!("{vb} cannot be written: {error}"),
        [PartError { vb, error, .. }, others @ ..] => {
            format!("{vb} and {} more vBuckets cannot be written: {error}", others.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_name_their_vbucket_are_confined_to_it() {
        let (what, detail) = ("a file".to_owned(), "a flaw".to_owned());
        let damaged = StoreError::Damaged { what, detail: detail.clone() };
        let (vb, high, seqno) = (VbId(3), Seqno(5), Seqno(4));
        let unstorable = StoreError::Unstorable { vb, seqno, detail: detail.clone() };
        let part = PartError { vb: VbId(4), scope: Scope::Row, error: damaged.clone() };
        let cases = [
            (unstorable, Scope::Row, vec![VbId(3)]),
            (StoreError::NoVbucket(vb), Scope::Vbucket, vec![VbId(3)]),
            (StoreError::OutOfOrder { vb, high, seqno }, Scope::Vbucket, vec![VbId(3)]),
            (StoreError::Parts(vec![part.clone(), part]), Scope::Row, vec![VbId(4), VbId(4)]),
            (damaged, Scope::Bucket, vec![]),
            (StoreError::Io { doing: "committing", detail }, Scope::Medium, vec![]),
            (StoreError::Poisoned("fsync".to_owned()), Scope::Medium, vec![]),
        ];
        for (error, scope, vbs) in cases {
            let named: Vec<_> = error.parts().iter().map(|part| part.vb).collect();
            assert_eq!((error.scope(), named), (scope, vbs), "{error}");
        }
    }
}
