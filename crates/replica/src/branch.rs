//! The present branch of each vBucket of a node, as its statistics name it.
//!
//! It is that of the newest entry of the failover log. A consumer takes the failover log of its
//! producer before it answers ADD_STREAM. A node that makes a vBucket active, or creates it anew,
//! begins a branch and drops the vBucket's passive stream. So both ends of an open stream are on
//! the same branch, and where they differ, the stream is gone, even if the seqnos are equal.

use mcbp::{VbId, VbUuid};

/// The group of statistics that names the branch of every vBucket.
pub const GROUP: &str = "vbucket-seqno";

/// Returns the branch of every vBucket in the statistics of [`GROUP`]. Leaves out what is
/// malformed: it is unknown.
#[must_use]
pub fn uuids(stats: &[(String, String)]) -> Vec<(VbId, VbUuid)> {
    let uuid = |(name, value): &(String, String)| {
        let vb = name.strip_prefix("vb_")?.strip_suffix(":uuid")?;
        Some((VbId(vb.parse().ok()?), VbUuid(value.parse().ok()?)))
    };
    stats.iter().filter_map(uuid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_as_a_real_node_shows_them_and_nothing_else_is() {
        let stats = [
            ("vb_0:high_seqno", "7"),
            ("vb_0:uuid", "53319713282377"),
            ("vb_1023:uuid", "18446744073709551615"),
            ("vb_2:uuid", "none"),
            ("vb_70000:uuid", "1"),
            ("vb_:uuid", "1"),
            ("uuid", "1"),
            ("vb_3:uuid", "-1"),
        ];
        let stats = stats.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = [(VbId(0), VbUuid(53_319_713_282_377)), (VbId(1023), VbUuid(u64::MAX))];
        assert_eq!(uuids(&stats), found);
    }

    #[test]
    fn a_recording_of_a_real_node_names_its_branch() {
        let recorded = recordings::stats("vbucket-seqno-0.txt");
        let stat = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.trim_end_matches(':').to_owned(), value.trim().to_owned()))
        };
        let stats: Vec<_> = recorded.lines().filter_map(stat).collect();
        let found = uuids(&stats);
        assert!(matches!(found[..], [(VbId(0), VbUuid(1..))]), "{found:?} in {recorded}");
    }
}
