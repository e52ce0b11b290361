//! Two failover logs, and where the histories that they stand for part.

use mcbp::Seqno;
use mcbp::dcp::FailoverEntry;

/// What two failover logs say of two copies of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum History {
    /// They are equal.
    Same,
    /// Both are on the same branch, and remember different older ones.
    OlderDiffer,
    /// They are on different branches.
    Parted {
        /// The last seqno that both have of one branch; 0 where they have nothing in common.
        at: Seqno,
    },
}

/// Compares logs, the newest entry first.
#[must_use]
pub fn compare_logs(a: &[FailoverEntry], b: &[FailoverEntry]) -> History {
    if a == b {
        return History::Same;
    }
    if let ([a, ..], [b, ..]) = (a, b)
        && a.uuid == b.uuid
    {
        return History::OlderDiffer;
    }
    // A branch ends where the next newer one begins; the newest goes on.
    let ends = |log: &[FailoverEntry]| -> Vec<_> {
        let ends = [Seqno::MAX].into_iter().chain(log.iter().map(|entry| entry.seqno));
        log.iter().map(|entry| entry.uuid).zip(ends).collect()
    };
    let (a, b) = (ends(a), ends(b));
    let common = a.iter().find_map(|(uuid, a_end)| {
        let (_, b_end) = b.iter().find(|(other, _)| other == uuid)?;
        Some(*a_end.min(b_end))
    });
    History::Parted { at: common.unwrap_or_default() }
}

/// A log as text: `uuid@seqno`, the newest entry first.
#[must_use]
pub fn log_text(log: &[FailoverEntry]) -> String {
    let entries = log.iter().map(|entry| format!("{:x}@{}", entry.uuid.0, entry.seqno));
    entries.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use mcbp::VbUuid;

    use super::*;

    #[test]
    fn logs_part_where_the_last_common_branch_ends() {
        let log = |entries: &[(u64, u64)]| -> Vec<_> {
            let entry = |&(uuid, seqno)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
            entries.iter().map(entry).collect()
        };
        let parted = |at| History::Parted { at: Seqno(at) };
        let table = [
            ("equal", log(&[(2, 10), (1, 0)]), log(&[(2, 10), (1, 0)]), History::Same),
            ("a forgotten entry", log(&[(2, 10), (1, 0)]), log(&[(2, 10)]), History::OlderDiffer),
            ("B stayed on the first", log(&[(2, 10), (1, 0)]), log(&[(1, 0)]), parted(10)),
            ("A did", log(&[(1, 0)]), log(&[(3, 7), (1, 0)]), parted(7)),
            ("both left it", log(&[(2, 10), (1, 0)]), log(&[(3, 7), (1, 0)]), parted(7)),
            ("strangers", log(&[(2, 10)]), log(&[(3, 0)]), parted(0)),
            ("nothing there", log(&[(2, 10)]), log(&[]), parted(0)),
        ];
        for (what, a, b, want) in table {
            assert_eq!(compare_logs(&a, &b), want, "{what}");
            assert_eq!(compare_logs(&b, &a), want, "{what}, the other way round");
        }
        assert_eq!(log_text(&log(&[(255, 9), (1, 0)])), "ff@9 1@0");
    }
}
