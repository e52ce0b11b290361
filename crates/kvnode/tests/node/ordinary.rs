//! What a real node answered to an ordinary client, in recordings. `docs/decisions` has the reasons
//! for what differs.

use mcbp::{Status, VbState};

use crate::replay::Differs::{Awaited, LeftOut, Quiet, Random, Status as Answers, Value};
use crate::replay::{Replay, replay, set_topology, start, start_with};
use crate::support::client::Client;

#[test]
fn capture_17a_gets_the_answers_of_a_real_node() {
    let node = start();
    let dead = 4;
    assert_eq!(Client::ready(&node).set_vbucket(1, dead).status, Status::SUCCESS);
    let differs = [
        // A CAS in the year 2262 is refused before the lock is looked at.
        (39, Answers(Status::CAS_VALUE_INVALID)),
        (111, Awaited),
        // The recorder activates the vBucket meanwhile.
        (143, LeftOut),
        // A quiet success is not answered, whatever the command.
        (81, Quiet),
        (82, Quiet),
        // The revision of a new document depends on the deletions before it.
        (121, Value),
        (145, Random),
        // With a map of itself, where the recorded node has none.
        (135, Value),
        (141, Value),
        (155, Value),
        (161, Value),
        (173, Value),
        (177, Value),
        // Nothing is kept in memory that could be evicted.
        (147, Value),
        (153, Value),
        // This node has other vBuckets.
        (179, Value),
        // Commands that are obsolete, or newer.
        (185, Answers(Status::UNKNOWN_COMMAND)),
        (187, Answers(Status::UNKNOWN_COMMAND)),
        (191, Answers(Status::UNKNOWN_COMMAND)),
        (193, Answers(Status::UNKNOWN_COMMAND)),
    ];
    let compared = replay("17a-client-ops", &node, &differs);
    assert!(compared > 80, "{compared}");
}

#[test]
fn capture_17b_gets_the_answers_of_a_real_node() {
    let differs = [
        // A compressed value stays as it was sent.
        (21, Value),
        (25, Value),
        (29, Value),
        (45, Value),
        // An overdue document is not there, also where a real node has not expired it yet.
        (129, Answers(Status::KEY_ENOENT)),
        (131, Answers(Status::SUCCESS)),
        (137, Value),
        (139, Value),
        // RETURN_META is no command of this node.
        (151, Answers(Status::UNKNOWN_COMMAND)),
        (153, Answers(Status::UNKNOWN_COMMAND)),
        (155, Answers(Status::UNKNOWN_COMMAND)),
        // The recorder had stored the document on another connection.
        (171, LeftOut),
    ];
    let compared = replay("17b-datatypes", &start(), &differs);
    assert!(compared > 80, "{compared}");
}

#[test]
fn capture_11_gets_the_answers_of_a_real_node() {
    let differs = [
        // Without a map from elsewhere a node has one of itself.
        (5, Answers(Status::SUCCESS)),
        (9, Answers(Status::SUCCESS)),
        (11, Value),
        // A bucket is where its data is: none begins with a map alone, and none comes or goes while
        // the node runs.
        (33, Answers(Status::KEY_ENOENT)),
        (49, Answers(Status::KEY_ENOENT)),
        (51, LeftOut),
        (53, LeftOut),
        (55, LeftOut),
        (57, LeftOut),
        (63, LeftOut),
        (65, Answers(Status::NOT_SUPPORTED)),
        (67, Answers(Status::NOT_SUPPORTED)),
        (69, Answers(Status::NOT_SUPPORTED)),
        // HELLO is refused whole, XERROR with it: no text.
        (141, Value),
        (143, Value),
    ];
    let compared = replay("11-cluster-config", &start(), &differs);
    assert!(compared > 50, "{compared}");
}

#[test]
fn capture_09b_gets_the_features_of_a_real_node() {
    let compared = replay("09b-hello", &start(), &[]);
    assert!(compared > 10, "{compared}");
}

#[test]
fn capture_14a_gets_the_answers_of_real_nodes() {
    let [active, replica] = [VbState::Active, VbState::Replica].map(start_with);
    set_topology(&active, 0..1, r#"[["alpha"]]"#);
    set_topology(&active, 1..2, r#"[["alpha","beta"]]"#);
    let differs = [
        // With a map of itself, where the recorded node has none.
        (744, Value),
        (760, LeftOut),
        (774, LeftOut),
    ];
    let nodes = [("node", &active), ("node2", &replica)];
    let compared = Replay::on(&nodes).run("14a-durable-levels", &differs, &|_| {});
    assert_eq!(compared, 44);
}
