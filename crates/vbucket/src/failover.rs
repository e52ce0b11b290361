//! The failover table: which branches of history a vBucket has been through.

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbUuid};
use serde::{Deserialize, Serialize};

/// How many branches are remembered; older ones are forgotten.
pub const ENTRIES_MAX: usize = 25;

/// Branches of history, newest first; never empty, no uuid is 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct FailoverTable {
    entries: Vec<FailoverEntry>,
}

impl FailoverTable {
    /// The table of a new vBucket. A `uuid` of 0 is taken as 1.
    #[must_use]
    pub fn new(uuid: VbUuid) -> Self {
        Self { entries: vec![entry(uuid, Seqno::ZERO)] }
    }

    /// The branches, newest first.
    #[must_use]
    pub fn entries(&self) -> &[FailoverEntry] {
        &self.entries
    }
}

fn entry(uuid: VbUuid, seqno: Seqno) -> FailoverEntry {
    FailoverEntry { uuid: VbUuid(uuid.0.max(1)), seqno }
}

impl From<FailoverTable> for Vec<(u64, u64)> {
    fn from(table: FailoverTable) -> Self {
        table.entries.iter().map(|e| (e.uuid.0, e.seqno.0)).collect()
    }
}

impl TryFrom<Vec<(u64, u64)>> for FailoverTable {
    type Error = &'static str;

    fn try_from(pairs: Vec<(u64, u64)>) -> Result<Self, Self::Error> {
        if pairs.is_empty() {
            return Err("a failover table has at least one entry");
        }
        if pairs.iter().any(|&(uuid, _)| uuid == 0) {
            return Err("the uuid of a failover entry is not 0");
        }
        Ok(Self { entries: pairs.iter().map(|&(u, s)| entry(VbUuid(u), Seqno(s))).collect() })
    }
}
