//! A producer's estimate of the changes that a vBucket still lacks, and whether it allows a
//! takeover.
//!
//! Only known good answers let a move continue: an estimate of 0 that was not computed yet once
//! ended moves too early (MB-35594, MB-36802, MB-59522).

use mcbp::VbId;

/// Upper bound on the missing changes at which a takeover begins. The takeover moves them while
/// clients wait, so there must be few.
pub const REMAINING_MAX: u64 = 1000;

/// What an estimate means for a move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Estimate {
    /// Few changes are missing: begin the takeover.
    Near {
        /// Changes that are missing.
        remaining: u64,
    },
    /// Many changes are missing: ask again later.
    Far {
        /// Changes that are missing.
        remaining: u64,
    },
    /// The producer has not computed the estimate yet: ask again soon.
    Counting,
}

/// An answer without a usable estimate.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum EstimateError {
    /// The status is not a known good one.
    #[error("the producer's takeover status of {vb} is {status:?}, which allows no takeover")]
    Status {
        /// The vBucket.
        vb: VbId,
        /// The status as the producer sent it.
        status: String,
    },
    /// A statistic is missing or not a number.
    #[error("the producer's takeover statistics of {vb} have no usable {key:?}")]
    Missing {
        /// The vBucket.
        vb: VbId,
        /// The statistic.
        key: &'static str,
    },
}

impl Estimate {
    /// Returns the group of statistics about one vBucket on the named connection.
    #[must_use]
    pub fn group(vb: VbId, connection_name: &str) -> String {
        format!("dcp-vbtakeover {} {connection_name}", vb.0)
    }

    /// Parses the statistics of [`Self::group`].
    ///
    /// # Errors
    /// [`EstimateError`] for any answer that is not known to be good.
    pub fn of(vb: VbId, stats: &[(String, String)]) -> Result<Self, EstimateError> {
        let find = |key: &'static str| {
            let found = stats.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.as_str()).ok_or(EstimateError::Missing { vb, key })
        };
        match find("status")? {
            "calculating-item-count" => Ok(Self::Counting),
            "backfilling" | "in-memory" => {
                let missing = EstimateError::Missing { vb, key: "estimate" };
                let remaining = find("estimate")?.parse().map_err(|_| missing)?;
                let near = remaining < REMAINING_MAX;
                Ok(if near { Self::Near { remaining } } else { Self::Far { remaining } })
            }
            status => Err(EstimateError::Status { vb, status: status.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VB: VbId = VbId(7);

    fn read(status: &str, estimate: &str) -> Result<Estimate, EstimateError> {
        let stat = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Estimate::of(VB, &[stat("name", "x"), stat("status", status), stat("estimate", estimate)])
    }

    #[test]
    fn a_move_goes_on_once_little_is_missing() {
        for status in ["backfilling", "in-memory"] {
            assert_eq!(read(status, "999"), Ok(Estimate::Near { remaining: 999 }));
            assert_eq!(read(status, "1000"), Ok(Estimate::Far { remaining: 1000 }));
        }
    }

    #[test]
    fn mb_35594_an_estimate_that_is_not_computed_yet_does_not_count() {
        assert_eq!(read("calculating-item-count", "0"), Ok(Estimate::Counting));
    }

    #[test]
    fn mb_59522_an_unknown_status_is_no_progress() {
        for status in ["does_not_exist", "connection_does_not_exist", "", "done"] {
            let error = EstimateError::Status { vb: VB, status: status.to_owned() };
            assert_eq!(read(status, "0"), Err(error));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |key| Err(EstimateError::Missing { vb: VB, key });
        assert_eq!(Estimate::of(VB, &[]), missing("status"));
        assert_eq!(read("in-memory", "many"), missing("estimate"));
        assert_eq!(read("in-memory", "-1"), missing("estimate"));
    }

    #[test]
    fn the_group_names_the_vbucket_and_the_connection() {
        let group = Estimate::group(VB, "replication:alpha->beta:default");
        assert_eq!(group, "dcp-vbtakeover 7 replication:alpha->beta:default");
    }
}
