//! The manifest of the default collection, and what is said about others: as capture 12 has it of a
//! node before its first manifest.

use mcbp::{Feature, Frame, FrameBuilder, Opcode, Status};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

#[test]
fn capture_12_before_its_first_manifest() {
    let node = start_in_memory(&Disk::new(), options());
    let lines = recordings::capture("12-collections");
    let features = [Feature::XERROR, Feature::JSON, Feature::COLLECTIONS];
    let mut client = Client::with_features(&node, &features);
    let mut compared = 0;
    for pair in lines.windows(2) {
        let [request, answer] = pair else { unreachable!() };
        let frame = Frame::parse(&request.bytes).unwrap();
        if frame.opcode() == Opcode::COLLECTIONS_SET_MANIFEST {
            break;
        }
        let looks_up = [
            Opcode::COLLECTIONS_GET_MANIFEST,
            Opcode::COLLECTIONS_GET_ID,
            Opcode::COLLECTIONS_GET_SCOPE_ID,
        ];
        if request.to != "node" || !looks_up.contains(&frame.opcode()) {
            continue;
        }
        let theirs = Frame::parse(&answer.bytes).unwrap();
        let ours = client.call(&FrameBuilder::from_frame(&frame));
        let about = format!("frame {}: {}", request.number, request.note);
        assert_eq!(ours.status, theirs.header.status(), "{about}");
        assert_eq!(ours.extras, theirs.extras, "{about}");
        if ours.status == Status::SUCCESS {
            assert_eq!(ours.value, theirs.value, "{about}");
        } else if ours.status != Status::EINVAL {
            // The text is a node's own.
            let uid = |value: &[u8]| {
                let value: serde_json::Value = serde_json::from_slice(value).unwrap();
                value["manifest_uid"].clone()
            };
            assert_eq!(uid(&ours.value), uid(theirs.value), "{about}");
        }
        compared += 1;
    }
    assert!(compared > 12, "{compared}");
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
