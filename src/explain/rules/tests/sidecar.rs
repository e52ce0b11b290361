//! What the sidecar does.

use super::*;

#[test]
fn what_the_sidecar_does() {
    let pair = |body: Value| facts(has(replica(5)), has(active(5)), says(body));
    expect(
        &pair(json!({ "state": "paused", "producer": "alpha", "paused": true })),
        Kind::Paused,
        "Somebody has paused it, so nothing is replicated; that stays so until dcp-proxy resume \
         default 7.",
    );
    let moving = json!({ "from": "alpha", "phase": "copying", "estimate": 3, "since_ms": 12_000 });
    expect(
        &pair(stream(&json!({ "state": "moving", "move": moving }))),
        Kind::Moving,
        "It is being moved from alpha to beta (copying, 3 changes left, for 12 s); it becomes \
         active at beta and dead at alpha once little is missing.",
    );
    let rolling = json!({ "phase": "rolling-back", "rollbacks_before": 2 });
    expect(
        &pair(stream(&json!({ "state": "rolling back", "stream": rolling }))),
        Kind::RollingBack,
        "beta is rolling back its copy, after 2 rollbacks of other vBuckets; then the stream is \
         requested again from where both histories agree.",
    );
    let incomplete = json!({ "phase": "due", "complete_to": 3 });
    expect(
        &pair(stream(&json!({ "state": "incomplete", "stream": incomplete }))),
        Kind::Incomplete,
        "Our copy may miss changes after seqno 3; it is rolled back to there before its stream \
         opens again.",
    );
    let failed = json!({
        "phase": "waiting", "not_open_ms": 14_000, "retry_in_ms": 2_100,
        "last_error": { "detail": "producer refused" },
    });
    expect(
        &pair(stream(&json!({ "state": "waiting", "stream": failed }))),
        Kind::Failing,
        "The stream has not been open for 14 s: producer refused; the sidecar tries again in \
         2.1 s.",
    );
    expect(
        &pair(stream(&json!({ "state": "set-up", "stream": { "phase": "asked" } }))),
        Kind::SetUp,
        "The stream is about to be opened (asked); changes come once it is.",
    );
    expect(
        &pair(stream(&json!({ "state": "unresponsive" }))),
        Kind::Unresponsive,
        "The stream is open, and one of its nodes is heard on no connection; the sidecar waits \
         until the node answers, or its connections are lost.",
    );
}

#[test]
fn without_a_sidecar_what_it_would_do_is_told() {
    expect(
        &facts(has(replica(5)), has(active(8)), not_running()),
        Kind::NoSidecar,
        "No sidecar runs, so nothing is replicated; start it: a stream request would be accepted, \
         and up to 3 changes come.",
    );
    expect(
        &facts(has(replica(8)), has(active(8)), Sidecar::Unknown("no port".to_owned())),
        Kind::SidecarUnknown,
        "Whether the sidecar replicates it is unknown: no port; see whether it runs, or name it \
         with --admin: a stream request would be accepted, and no change is missing.",
    );
    let mut unknown = facts(has(replica(8)), has(active(8)), not_running());
    unknown.wanted = Wanted::Unknown;
    assert!(!judge(&unknown).is_healthy());
}

#[test]
fn what_was_taken_over_is_active_here_and_not_awaited() {
    // An older sidecar names the former producer.
    let taken =
        |from: Value| json!({ "state": "active here", "producer": from, "active_here": true });
    for producer in [Value::Null, json!("alpha")] {
        let dead = copy(VbState::Dead, 5, &[(1, 0)]);
        let it = facts(has(active(5)), has(dead), says(taken(producer)));
        let it = Facts { wanted: Wanted::Nobody, ..it };
        assert_eq!(it.view().unwrap().wanted_from(), None);
        expect(
            &it,
            Kind::ActiveHere,
            "It is active at beta and not wanted from anywhere; nothing is to be done.",
        );
    }
    // A stream that is held back, and a pause, show that it is wanted all the same.
    for wanted in [json!({ "stream": { "phase": "held-back" } }), json!({ "paused": true })] {
        let mut view = taken(json!("alpha"));
        view.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
        let it = facts(has(active(5)), has(active(5)), says(view));
        assert_eq!(it.view().unwrap().wanted_from(), Some("alpha"));
    }
}

#[test]
fn a_refused_connection_is_no_stopped_sidecar_while_both_nodes_list_its_stream() {
    let lists = |of: VbCopy, connection: &str| {
        let stream = DcpStream { connection: connection.to_owned(), ..DcpStream::default() };
        has(VbCopy { streams: vec![stream], ..of })
    };
    for name in ["replication:alpha->beta:default", "replication:alpha->beta:default/3"] {
        let mut it = facts(lists(replica(5), name), lists(active(5), name), not_running());
        it.sidecar = elsewhere(&it).unwrap();
        expect(
            &it,
            Kind::SidecarUnknown,
            &format!(
                "Another sidecar replicates it than the one that was asked: beta and alpha list \
                 its stream of connection {name} (connection refused); name it with --admin, or \
                 its configuration file with --config."
            ),
        );
    }
    let name = "replication:alpha->beta:default";
    for (ours, alpha, sidecar) in [
        (lists(replica(5), name), has(active(5)), not_running()),
        (has(replica(5)), lists(active(5), name), not_running()),
        (lists(replica(5), "other"), lists(active(5), "other"), not_running()),
        (lists(replica(5), name), lists(active(5), name), says(stream(&json!({})))),
    ] {
        let it = facts(ours, alpha, sidecar);
        assert!(elsewhere(&it).is_none(), "{it:?}");
    }
}
