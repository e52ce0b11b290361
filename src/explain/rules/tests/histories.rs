//! Where histories part.

use super::*;

#[test]
fn histories_that_part_are_told_with_what_a_rollback_drops() {
    let waits = || {
        let stream = json!({ "phase": "waiting", "retry_in_ms": 2000, "progress_ms": null });
        says(json!({ "state": "waiting", "producer": "alpha", "stream": stream }))
    };
    let promoted = || copy(VbState::Active, 120, &[(2, 100), (1, 0)]);
    let mut parted = facts(has(replica(112)), has(promoted()), waits());
    expect(
        &parted,
        Kind::Parted,
        "Our copy has up to 12 changes (seqno 101 to 112) that alpha never had; the next stream \
         request is answered with ROLLBACK to 100, and they are dropped.",
    );
    parted.dropped =
        Some(Dropped::Rows { count: 11, more: false, lost: Some(11), keys: Vec::new() });
    expect(
        &parted,
        Kind::Parted,
        "Our copy has 11 changes (seqno 101 to 112) that alpha never had; the next stream request \
         is answered with ROLLBACK to 100, and they are dropped.",
    );
    let one = facts(has(replica(101)), has(promoted()), not_running());
    let said = judge(&one).first.sentence();
    assert!(said.starts_with("Our copy has 1 change (seqno 101) that alpha never had; "), "{said}");
    let other = copy(VbState::Replica, 9, &[(5, 0)]);
    expect(
        &facts(has(other), has(active(9)), not_running()),
        Kind::Parted,
        "Our copy (seqno 1 to 9) has no branch of history in common with alpha; the next stream \
         request is answered with ROLLBACK to 0, and all of our copy is dropped and sent anew.",
    );
    let written = copy(VbState::Replica, 112, &[(3, 100), (1, 0)]);
    expect(
        &facts(has(written), has(active(120)), not_running()),
        Kind::Parted,
        "Our copy has up to 12 changes (seqno 101 to 112) that alpha never had; the next stream \
         request is answered with ROLLBACK to 0, and all of our copy is dropped and sent anew.",
    );
    let within = VbCopy { snapshot: Some((90, 112)), ..replica(110) };
    expect(
        &facts(has(within), has(promoted()), not_running()),
        Kind::Parted,
        "Our copy has up to 10 changes (seqno 101 to 110) that alpha never had; the next stream \
         request is answered with ROLLBACK to 90, the start of the last snapshot before they part, \
         and what comes after that is dropped.",
    );
    let purged = VbCopy { purge: Some(50), ..active(120) };
    expect(
        &facts(has(replica(40)), has(purged), not_running()),
        Kind::PurgedAhead,
        "alpha has purged deletions up to seqno 50, and our copy stands at 40, so it may lack some \
         of them; the next stream request is answered with ROLLBACK to 0, and the whole copy is \
         dropped and sent anew.",
    );
}

#[test]
fn a_copy_that_is_read_later_than_the_producer_is_not_parted() {
    let open = says(stream(&json!({})));
    let story = judge(&facts(has(replica(9)), has(active(8)), open));
    assert_eq!((story.first.kind, story.is_healthy()), (Kind::InStep, true), "{story:?}");
    // Shown as open, and on another branch: its stream is gone.
    let ours = copy(VbState::Replica, 9, &[(3, 8), (1, 0)]);
    let story = judge(&facts(has(ours), has(active(9)), says(stream(&json!({})))));
    assert_eq!((story.first.kind, story.is_healthy()), (Kind::Parted, false), "{story:?}");
}
