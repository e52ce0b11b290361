//! Where histories part, against the rule of the data nodes.

use mcbp::VbState;
use mcbp::dcp::FailoverEntry;

use super::*;

fn copy(high: u64, log: &[(u64, u64)]) -> VbCopy {
    let entry =
        |&(uuid, seqno): &(u64, u64)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    let log = log.iter().map(entry).collect();
    VbCopy { state: Some(VbState::Replica), high: Some(high), log, ..VbCopy::default() }
}

/// The last common seqno, and the seqno of the rollback.
fn parted(ours: &VbCopy, theirs: &VbCopy) -> (u64, Option<u64>) {
    let parting = Parting::of(ours, theirs).unwrap();
    (parting.common, parting.rollback())
}

#[test]
fn where_histories_part() {
    for (ours, theirs, want) in [
        // On one branch.
        (copy(5, &[(1, 0)]), copy(9, &[(1, 0)]), (5, None)),
        (copy(9, &[(1, 0)]), copy(9, &[(1, 0)]), (9, None)),
        // The producer was promoted after what we have, and before.
        (copy(5, &[(1, 0)]), copy(9, &[(2, 7), (1, 0)]), (5, None)),
        (copy(8, &[(1, 0)]), copy(9, &[(2, 7), (1, 0)]), (7, Some(7))),
        // Ours was promoted.
        (copy(8, &[(2, 5), (1, 0)]), copy(9, &[(1, 0)]), (5, Some(0))),
        // Nothing was written to the newest branch of ours (MB-48398).
        (copy(8, &[(2, 8), (1, 0)]), copy(9, &[(1, 0)]), (8, None)),
        // Both were.
        (copy(8, &[(3, 4), (1, 0)]), copy(9, &[(2, 6), (1, 0)]), (4, Some(0))),
        // Nothing in common, or nothing at all.
        (copy(8, &[(3, 0)]), copy(9, &[(1, 0)]), (0, Some(0))),
        (copy(0, &[(3, 0)]), copy(9, &[(1, 0)]), (0, None)),
    ] {
        assert_eq!(parted(&ours, &theirs), want, "{ours:?} {theirs:?}");
    }
}
