//! What a vBucket is beside its rows. Kept in one record, written in the same batch as the rows.

use mcbp::{Seqno, VbId, VbState};
use serde::{Deserialize, Serialize};

use crate::FailoverTable;

/// The persisted state of one vBucket.
///
/// `snapshot_start..=snapshot_end` is the snapshot that `high_seqno` lies in: on an active vBucket
/// all three are equal; on a replica `high_seqno` may lie inside, and a crash there leaves a state
/// from which a stream must go on within the same snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VbMeta {
    /// Which vBucket.
    #[serde(with = "as_number")]
    pub vb: VbId,
    /// Its state.
    #[serde(with = "as_name")]
    pub state: VbState,
    /// Its history; never empty.
    pub failover: FailoverTable,
    /// The highest seqno that is on disk.
    #[serde(with = "seqno_number")]
    pub high_seqno: Seqno,
    /// Start of the snapshot that `high_seqno` lies in.
    #[serde(with = "seqno_number")]
    pub snapshot_start: Seqno,
    /// End of the snapshot that `high_seqno` lies in.
    #[serde(with = "seqno_number")]
    pub snapshot_end: Seqno,
    /// Tombstones up to this seqno may have been dropped.
    #[serde(with = "seqno_number")]
    pub purge_seqno: Seqno,
    /// The highest CAS given out or received.
    pub max_cas: u64,
    /// The highest rev of a deleted document: a document created anew starts above it.
    pub max_deleted_rev: u64,
    /// The topology that SET_VBUCKET gave, as its JSON text; empty for none.
    #[serde(default)]
    pub topology: String,
}

mod as_number {
    //! A vBucket id as a plain number.
    use mcbp::VbId;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(vb: &VbId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(vb.0)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VbId, D::Error> {
        u16::deserialize(from).map(VbId)
    }
}

mod seqno_number {
    //! A seqno as a plain number.
    use mcbp::Seqno;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(seqno: &Seqno, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(seqno.0)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Seqno, D::Error> {
        u64::deserialize(from).map(Seqno)
    }
}

mod as_name {
    //! A vBucket state by its name.
    use mcbp::VbState;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(state: &VbState, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(state.name())
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VbState, D::Error> {
        let name = String::deserialize(from)?;
        let all = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];
        let found = all.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| D::Error::custom(format!("unknown vBucket state {name:?}")))
    }
}
