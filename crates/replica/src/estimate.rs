//! What a producer says about how much of a vBucket it still has to send, and what follows.
//!
//! Only answers that are known to be good let a move go on: an estimate of 0 that was merely not
//! computed yet once ended moves too early (MB-35594, MB-36802, MB-59522).

use mcbp::VbId;

/// Changes that may be missing when a takeover begins. The takeover itself moves the rest while
/// clients wait, so it is to be little.
pub const REMAINING_MAX: u64 = 1000;

/// What to do about a move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Estimate {
    /// Little is missing: take the vBucket over.
    Near {
        /// Changes that are missing.
        remaining: u64,
    },
    /// Ask again in a while.
    Far {
        /// Changes that are missing.
        remaining: u64,
    },
    /// The producer is still counting: ask again soon.
    Counting,
}

/// An answer from which nothing can be concluded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum EstimateError {
    /// The status is not one that is known to be good.
    #[error("the producer's takeover status of {vb} is {status:?}, which allows no takeover")]
    Status {
        /// The vBucket.
        vb: VbId,
        /// As the producer spelled it.
        status: String,
    },
    /// A part of the answer is missing or no number.
    #[error("the producer's takeover statistics of {vb} have no usable {key:?}")]
    Missing {
        /// The vBucket.
        vb: VbId,
        /// The statistic.
        key: &'static str,
    },
}

impl Estimate {
    /// The group of statistics to ask for, about the connection of this name.
    #[must_use]
    pub fn group(vb: VbId, connection_name: &str) -> String {
        format!("dcp-vbtakeover {} {connection_name}", vb.0)
    }

    /// Reads the statistics of [`Self::group`].
    ///
    /// # Errors
    /// [`EstimateError`] for anything that is not known to be good.
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
