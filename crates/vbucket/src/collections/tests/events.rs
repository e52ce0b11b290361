//! The system events that real nodes sent, and the manifests that caused them.

use bytes::BytesMut;
use mcbp::{Frame, Opcode, Seqno, Status, dcp};
use recordings::Line;

use super::super::{Change, Manifest, SystemEvent, VbCollections};

/// A client with FlatBuffers, which was there from the beginning; there are others, see the
/// recording.
const FLATBUFFERS: &str = "dcp-flatbuffers";

fn lines() -> Vec<Line> {
    recordings::capture("12b-collections-events")
}

fn opcode(line: &Line) -> Opcode {
    Frame::parse(&line.bytes).unwrap().opcode()
}

fn system_events() -> Vec<Line> {
    lines().into_iter().filter(|line| opcode(line) == Opcode::DCP_SYSTEM_EVENT).collect()
}

/// The events that a receiver got.
fn events_of(to: &str) -> Vec<(Seqno, SystemEvent)> {
    let to_it = system_events().into_iter().filter(|line| line.to == to);
    to_it.map(|line| SystemEvent::decode(&Frame::parse(&line.bytes).unwrap()).unwrap()).collect()
}

fn state_of(events: &[(Seqno, SystemEvent)]) -> VbCollections {
    let mut state = VbCollections::default();
    for (seqno, event) in events {
        state.follow(*seqno, event);
    }
    state
}

#[test]
fn every_recorded_frame_is_written_back_to_the_same_bytes() {
    let lines = system_events();
    assert_eq!(lines.len(), 62);
    for line in lines {
        let frame = Frame::parse(&line.bytes).unwrap();
        let (seqno, event) = SystemEvent::decode(&frame).unwrap();
        let version = dcp::SystemEvent::decode(&frame).unwrap().version;
        let vb = mcbp::VbId(frame.header.vbucket_or_status);
        let mut written = BytesMut::new();
        let opaque = frame.header.opaque;
        assert!(event.write(seqno, vb, opaque, version == 2, &mut written), "{}", line.number);
        assert_eq!(written, line.bytes, "{} {event:?}", line.number);
        if version == 2 {
            assert_eq!(event.value(), frame.value, "{}", line.number);
        }
    }
}

#[test]
fn each_manifest_leads_to_the_recorded_events() {
    let mut recorded = events_of(FLATBUFFERS).into_iter();
    let mut state = VbCollections::default();
    let mut manifests = 0;
    let of_client = |line: &Line| line.from == "client";
    for line in lines().into_iter().filter(of_client) {
        if opcode(&line) != Opcode::COLLECTIONS_SET_MANIFEST {
            continue;
        }
        let manifest = Manifest::parse(Frame::parse(&line.bytes).unwrap().value).unwrap();
        let changes = state.changes_to(&manifest);
        assert!(!changes.is_empty(), "{}", line.note);
        for event in changes {
            let (seqno, sent) = recorded.next().unwrap();
            assert_eq!(event, sent, "{}", line.note);
            state.follow(seqno, &event);
        }
        assert_eq!(state.uid(), manifest.uid());
        assert_eq!(state.changes_to(&manifest), []);
        manifests += 1;
    }
    assert_eq!((manifests, recorded.next()), (7, None));
}

#[test]
fn a_late_client_knows_what_one_knows_that_got_every_event() {
    let state = state_of(&events_of(FLATBUFFERS));
    for late in ["dcp-late", "dcp-late-flatbuffers"] {
        let events = events_of(late);
        assert!(events.len() > 5);
        assert_eq!(VbCollections::from_events(events.into_iter().rev()), state, "{late}");
    }
    let names: Vec<&str> = state.iter().map(|(_, known)| &*known.collection.name).collect();
    assert_eq!(names, ["default2"], "the default collection was dropped");
    assert_eq!(state.scopes().collect::<Vec<_>>(), [(0, "_default"), (9, "s9")]);
    assert_eq!(state.get(0), None);
    assert!(!state.shows(b"\x00key", Seqno(22)));
}

#[test]
fn rows_bring_the_events_back() {
    for (seqno, event) in events_of(FLATBUFFERS) {
        let row = SystemEvent::from_row(&event.key(), event.is_end(), &event.value());
        assert_eq!(row.as_ref(), Ok(&event), "{seqno:?}");
        let other = SystemEvent::from_row(&event.key(), !event.is_end(), &event.value());
        assert_ne!(other.as_ref(), Ok(&event), "{seqno:?}");
    }
}

#[test]
fn a_row_with_the_key_of_another_is_no_event() {
    let end = |id| SystemEvent { uid: 1, change: Change::End { id, scope: 0, is_system: true } };
    let wrong = SystemEvent::from_row(&end(9).key(), true, &end(8).value());
    assert_eq!(wrong, Err("key and value name different ids"));
    assert!(SystemEvent::from_row(b"\x00document", true, &end(8).value()).is_err());
    let modification = b"\x01\x02\x08_collection";
    assert!(SystemEvent::from_row(modification, true, &end(8).value()).is_err());
}

#[test]
fn a_modification_is_not_written_without_flatbuffers() {
    let events = events_of(FLATBUFFERS);
    let is_modified =
        |(_, event): &&(_, SystemEvent)| matches!(event.change, Change::Modify { .. });
    let (seqno, event) = events.iter().find(is_modified).unwrap();
    let mut out = BytesMut::new();
    assert!(!event.write(*seqno, mcbp::VbId(0), mcbp::Opaque(0), false, &mut out));
    assert_eq!(out, b""[..]);
    assert!(event.write(*seqno, mcbp::VbId(0), mcbp::Opaque(0), true, &mut out));
}

#[test]
fn the_node_accepted_each_manifest_after_the_one_before() {
    let mut current = Manifest::default();
    for line in lines() {
        let frame = Frame::parse(&line.bytes).unwrap();
        match (frame.opcode(), line.from.as_str()) {
            (Opcode::COLLECTIONS_SET_MANIFEST, "client") => {
                let next = Manifest::parse(frame.value).unwrap();
                assert_eq!(next.may_follow(&current), Ok(()), "{}", line.note);
                assert_eq!(Manifest::parse(next.to_json().as_bytes()), Ok(next.clone()));
                current = next;
            }
            (Opcode::COLLECTIONS_SET_MANIFEST, "node") => {
                assert_eq!(frame.header.vbucket_or_status, Status::SUCCESS.0);
            }
            _ => {}
        }
    }
    assert_eq!(current.uid(), 7);
}
