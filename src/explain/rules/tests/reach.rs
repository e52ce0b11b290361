//! Who does not answer, states, and what is not wanted.

use super::*;

#[test]
fn a_side_that_does_not_answer_is_named_with_the_next_try() {
    let waits = |retry: Value| {
        let stream = json!({ "phase": "due", "not_open_ms": 14_200 });
        let link = json!({ "phase": "waiting", "retry_in_ms": retry });
        json!({ "state": "waiting", "producer": "alpha", "stream": stream, "link_status": link })
    };
    expect(
        &facts(has(replica(5)), silent("no answer"), says(waits(json!(2000)))),
        Kind::ProducerSilent,
        "alpha does not answer as it should: no answer; the stream has not been open for 14 s; \
         the sidecar tries again in 2.0 s.",
    );
    expect(
        &facts(has(replica(5)), silent("no answer"), not_running()),
        Kind::ProducerSilent,
        "alpha does not answer as it should: no answer; no sidecar runs that would try again.",
    );
    expect(
        &facts(silent("refused"), has(active(5)), says(waits(json!(20)))),
        Kind::NodeSilent,
        "beta (our node) does not answer as it should: refused; the stream has not been open for \
         14 s; the sidecar tries again now.",
    );
    let heard = |state: &str| {
        let link = json!({ "producer_silent_ms": 14_000, "consumer_silent_ms": 300 });
        says(stream(&json!({ "state": state, "link_status": link })))
    };
    // On a link on which nothing changes, nothing passes: that is no silence of the node.
    expect(
        &facts(has(replica(5)), silent("no answer"), heard("open")),
        Kind::ProducerSilent,
        "alpha does not answer as it should: no answer; the sidecar waits for it, and opens the \
         link anew once it is lost or stalls.",
    );
    expect(
        &facts(has(replica(5)), silent("no answer"), heard("unresponsive")),
        Kind::ProducerSilent,
        "alpha does not answer as it should since 14 s: no answer; the sidecar waits for it, and \
         opens the link anew once it is lost or stalls.",
    );
    expect(
        &facts(silent("refused"), has(active(5)), heard("unresponsive")),
        Kind::NodeSilent,
        "beta (our node) does not answer as it should: refused; the sidecar waits for it, and \
         opens the link anew once it is lost or stalls.",
    );
    expect(
        &facts(has(replica(5)), Answer::WarmingUp, says(waits(Value::Null))),
        Kind::WarmingUp,
        "alpha is still loading its data; the sidecar tries again by itself.",
    );
    expect(
        &facts(Answer::Missing, has(active(5)), says(waits(json!(61_000)))),
        Kind::Missing,
        "beta (our node) has no vBucket 7 in bucket default; create it there as a replica \
         (SET_VBUCKET); the sidecar tries again in 1 min 1 s.",
    );
    let mut absent = facts(has(replica(5)), has(active(5)), says(waits(Value::Null)));
    absent.wanted = Wanted::From("gamma".to_owned());
    assert_eq!(judge(&absent).first.kind, Kind::ProducerSilent);
}

#[test]
fn states_that_do_not_fit() {
    let held = || {
        let stream = json!({ "phase": "held-back" });
        says(json!({ "state": "held back", "producer": "alpha", "stream": stream }))
    };
    expect(
        &facts(has(active(5)), has(active(6)), held()),
        Kind::TwoActive,
        "vBucket 7 is active at beta and at alpha; clients may write to both: stop writes, decide \
         which copy stays, and make the other one dead, since nothing is replicated before that.",
    );
    expect(
        &facts(has(active(5)), has(copy(VbState::Dead, 5, &[(1, 0)])), held()),
        Kind::HeldBack,
        "It is active at beta, so it is not asked for from alpha; nothing is replicated: take it \
         out of replicate if it was taken over, else make it a replica.",
    );
    let dead = copy(VbState::Dead, 5, &[(1, 0)]);
    expect(
        &facts(has(dead.clone()), has(active(5)), not_running()),
        Kind::Dead,
        "Our copy is dead at beta, which takes no stream for it; make it a replica (SET_VBUCKET); \
         no sidecar runs that would try again.",
    );
    expect(
        &facts(has(replica(5)), has(replica(5)), not_running()),
        Kind::NotActive,
        "It is replica at alpha, from which it is wanted; find the node that has it active, and \
         name that one in replicate, or make it active at alpha; no sidecar runs that would try \
         again.",
    );
    let mut elsewhere = facts(has(replica(5)), has(dead), not_running());
    elsewhere.producers.push(node("gamma", has(active(5))));
    expect(
        &elsewhere,
        Kind::NotActive,
        "It is dead at alpha, from which it is wanted; gamma has it active: name that one in \
         replicate.",
    );
}

#[test]
fn what_is_not_wanted() {
    let told = || says(json!({ "state": "not wanted", "producer": null }));
    let of = |ours, alpha| Facts { wanted: Wanted::Nobody, ..facts(ours, alpha, told()) };
    expect(
        &of(has(replica(5)), has(active(5))),
        Kind::NotWanted,
        "It is not wanted from any producer, so nothing is replicated; that stays so; it is active \
         at alpha: dcp-proxy replicate default alpha=7 would replicate it.",
    );
    expect(
        &of(has(active(5)), has(replica(5))),
        Kind::ActiveHere,
        "It is active at beta and not wanted from anywhere; nothing is to be done.",
    );
    expect(
        &of(has(replica(5)), has(replica(5))),
        Kind::NoActive,
        "It is not wanted from any producer, and active at none of beta, alpha; that stays so; if \
         no other node has it active, clients cannot use it.",
    );
    expect(
        &of(Answer::Missing, Answer::Missing),
        Kind::NoActive,
        "vBucket 7 of bucket default is at none of beta, alpha; it is not wanted either, so \
         nothing happens: check the number.",
    );
    // A node that does not say anything may have it active.
    let story = judge(&of(has(replica(5)), silent("refused")));
    assert_eq!((story.first.kind, story.is_healthy()), (Kind::NotWanted, false));
    assert_eq!(story.unasked, ["alpha could not be asked: refused"]);
}
