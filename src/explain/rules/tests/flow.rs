//! Streams that lag, stand still or are in step; holes and durable writes.

use super::*;

#[test]
fn a_stream_in_step_behind_or_standing() {
    let open = |fields: Value| says(stream(&fields));
    let of = |ours, alpha, fields| facts(has(ours), has(alpha), open(fields));
    expect(
        &of(replica(5), active(5), json!({})),
        Kind::InStep,
        "Replicating: in step with alpha at seqno 5; the next change comes as it is made.",
    );
    // What came between the two looks.
    expect(
        &of(later(replica(5), 8), later(active(8), 8), json!({})),
        Kind::InStep,
        "Replicating: in step with alpha at seqno 8; the next change comes as it is made.",
    );
    expect(
        &of(later(replica(5), 10), later(active(13), 13), json!({})),
        Kind::Behind,
        "Replicating: up to 3 changes behind; caught up in about 1 s.",
    );
    expect(
        &of(later(replica(0), 100), later(active(4100), 4100), json!({})),
        Kind::Behind,
        "Replicating: up to 4000 changes behind; caught up in about 20 s.",
    );
    expect(
        &of(later(replica(5), 10), later(active(13), 53), json!({})),
        Kind::Behind,
        "Replicating: up to 43 changes behind; the lag does not shrink at present: more is written \
         than comes.",
    );
    expect(
        &of(later(replica(5), 5), later(active(6), 6), json!({})),
        Kind::Behind,
        "Replicating: 1 change behind; how soon they come is not known yet: ask again in a moment.",
    );
    let still = json!({ "stream": { "progress_ms": 9000, "lag_ms": 5000 } });
    expect(
        &of(later(replica(5), 5), later(active(8), 8), still),
        Kind::Standing,
        "It stands still: up to 3 changes behind, and none came for 5.0 s; alpha lists no stream \
         of it for our connection: the sidecar restarts a link that stalls.",
    );
}

#[test]
fn a_stream_that_stands_still_is_told_with_the_side_that_holds_it() {
    let still = json!({ "stream": { "progress_ms": 60_000, "lag_ms": 60_000 } });
    let told = |sent: DcpStream, got: DcpStream| {
        let link = |of: DcpStream| DcpStream { connection: "l".to_owned(), ..of };
        let ours = VbCopy { streams: vec![link(got)], ..later(replica(5), 5) };
        let alpha = VbCopy { streams: vec![link(sent)], ..later(active(8), 8) };
        let story = judge(&facts(has(ours), has(alpha), says(stream(&still))));
        assert_eq!(story.first.kind, Kind::Standing);
        story.first.next
    };
    let none = DcpStream::default;
    let sent = |last_sent| DcpStream { last_sent: Some(last_sent), ..none() };
    let got = |last_received| DcpStream { last_received: Some(last_received), ..none() };
    let full = DcpStream { unacked_bytes: Some(9), window_bytes: Some(8), ..sent(8) };
    for (sent, got, want) in [
        (sent(6), got(5), "alpha has sent up to seqno 6 of 8: "),
        (sent(8), got(8), "beta has received seqno 8 and not applied it: "),
        (sent(8), got(5), "alpha has sent up to 8, beta received up to 5: "),
        (full, got(5), "beta does not acknowledge what alpha sent (window full): "),
    ] {
        let said = told(sent, got);
        assert!(said.starts_with(want), "{said}");
    }
}

#[test]
fn equal_seqnos_with_other_counts_are_a_hole_only_if_both_looks_agree() {
    let open = || says(stream(&json!({})));
    let lacks = VbCopy { documents: Some(4), ..replica(5) };
    expect(
        &facts(has(later(lacks.clone(), 5)), has(later(active(5), 5)), open()),
        Kind::Hole,
        "A hole is suspected: both copies are at seqno 5, and beta has 4 documents, alpha has 5 \
         documents; nothing repairs that by itself: compare with dcp-proxy verify default, then \
         replicate it anew.",
    );
    for (ours, alpha) in [
        (lacks.clone(), active(5)),
        (later(lacks.clone(), 6), later(active(5), 6)),
        (later(VbCopy { persisted: Some(4), ..lacks }, 5), later(active(5), 5)),
    ] {
        let story = judge(&facts(has(ours), has(alpha), open()));
        assert_eq!((story.first.kind, story.is_healthy()), (Kind::InStep, true), "{story:?}");
    }
}

#[test]
fn durable_writes_that_wait_for_our_node() {
    let chain = |replica: &str| Some(vec![vec![Some("n1".to_owned()), Some(replica.to_owned())]]);
    let waits = |topology| VbCopy { pending_prepares: Some(2), topology, ..active(5) };
    let open = || says(stream(&json!({})));
    expect(
        &facts(has(replica(5)), has(waits(chain("n2"))), open()),
        Kind::DurableWrites,
        "2 durable writes wait at alpha, whose topology names n2 and not our node beta; \
         acknowledgements of our node do not count: correct [node] name, or the topology.",
    );
    let story = judge(&facts(has(replica(5)), has(waits(chain("beta"))), open()));
    assert_eq!(story.first.kind, Kind::InStep, "they are answered as they come");
    let story = judge(&facts(has(replica(5)), has(waits(chain("beta"))), not_running()));
    assert!(story.others.iter().any(|it| it.kind == Kind::DurableWrites), "{story:?}");
}

#[test]
fn an_unknown_seqno_is_not_healthy() {
    let unknown = VbCopy { high: None, documents: None, ..replica(5) };
    let story = judge(&facts(has(unknown), has(active(5)), says(stream(&json!({})))));
    assert_eq!((story.first.kind, story.is_healthy()), (Kind::Unknown, false), "{story:?}");
    // Nothing is known at all.
    let mut nothing = facts(has(replica(5)), has(active(5)), not_running());
    nothing.wanted = Wanted::Unknown;
    nothing.sidecar = Sidecar::Unknown("no answer".to_owned());
    assert!(!judge(&nothing).is_healthy());
}

#[test]
fn no_flow_is_told_where_a_state_forbids_a_stream_that_was_seen_open() {
    let dead = || copy(VbState::Dead, 5, &[(1, 0)]);
    let seen_last = "the sidecar has seen its stream open last, and has not heard of this yet";
    for (ours, alpha, kind, is_next_told) in [
        (has(dead()), has(active(5)), Kind::Dead, true),
        (has(dead()), has(active(9)), Kind::Dead, true),
        (has(replica(5)), has(dead()), Kind::NotActive, true),
        (has(active(5)), has(dead()), Kind::HeldBack, false),
        (Answer::Missing, has(active(5)), Kind::Missing, true),
        (has(replica(5)), Answer::Missing, Kind::Missing, true),
    ] {
        let story = judge(&facts(ours, alpha, says(stream(&json!({})))));
        assert_eq!(story.first.kind, kind, "{story:?}");
        assert_eq!(story.first.next.contains(seen_last), is_next_told, "{story:?}");
        let flows = [Kind::InStep, Kind::Behind, Kind::Standing, Kind::Hole];
        assert!(story.others.iter().all(|it| !flows.contains(&it.kind)), "{story:?}");
    }
    // A replica serves streams too.
    let story = judge(&facts(has(replica(5)), has(replica(5)), says(stream(&json!({})))));
    assert!(story.others.iter().any(|it| it.kind == Kind::InStep), "{story:?}");
}
