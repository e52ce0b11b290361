//! Manifests, and what is said about collections: as capture 12 has it.

use mcbp::{Feature, FrameBuilder, Opcode, Status, VbState};

use crate::replay::Differs::{Status as Answers, Value};
use crate::replay::{replay, start_of};
use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

#[test]
fn capture_12_gets_the_answers_of_a_real_node() {
    let differs = [
        // With a map of itself, where the recorded node has none.
        (79, Value),
        (260, Value),
        // A collection that is not there is unknown, and not forbidden.
        (313, Answers(Status::UNKNOWN_COLLECTION)),
        // The collection was dropped and created again: its key of before is gone.
        (315, Value),
    ];
    let node = start_of(2, VbState::Active);
    let compared = replay("12-collections", &node, &differs);
    assert_eq!(compared, 104);
}

#[test]
fn an_unknown_collection_is_refused_with_the_uid_of_the_manifest() {
    let node = start_in_memory(&Disk::new(), options());
    // Without XERROR too.
    let mut client = Client::with_features(&node, &[Feature::COLLECTIONS]);
    let answer = client.get(0, "\u{8}key");
    assert_eq!(answer.status, Status::UNKNOWN_COLLECTION);
    assert!(String::from_utf8(answer.value).unwrap().contains(r#""manifest_uid":"0""#));
}

#[test]
fn a_long_path_is_refused() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::XERROR]);
    for length in [252, 600, 100_000] {
        let path = format!("{}._default", "x".repeat(length));
        let request = FrameBuilder::request(Opcode::COLLECTIONS_GET_ID);
        let answer = client.call(&request.value(path.as_bytes()));
        assert_eq!(answer.status, Status::EINVAL);
        assert!(answer.value.len() < 500);
    }
}
