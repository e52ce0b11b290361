//! A crash at every step of starting, committing, changing a state, removing and stopping.

use mcbp::{FrameBuilder, Opcode, VbId, VbState};

use crate::campaign::{Campaign, Until};
use crate::contents;
use crate::node::{ACTIVE, TestNode, VBUCKETS};

const SEED: u64 = 20_261_122;

/// The steps of a start: opening the store, then warm-up.
const STARTING: &[&str] = &[
    "open-state-read=1",
    "open-inspected=1",
    "open-tables=1",
    "open-state-noted=1",
    "warmup-loaded=1",
    "commit-begun=1",
    "commit-written=1",
    "commit-noted=1",
    "warmup-committed=1",
    "warmup-visible=1",
];

fn starts_after_a_crash_at_each_step(mut campaign: Campaign) {
    for point in STARTING {
        let ended = campaign.start_failing_at(point).listening().is_none();
        assert!(ended, "{point} was not reached");
        let node = campaign.start_and_check().unwrap_or_else(|error| panic!("{point}: {error}"));
        campaign.load(node, &Until::Killed(60));
    }
    let node = campaign.start_and_check().unwrap();
    campaign.check_streams(&node).unwrap();
}

#[test]
fn mb_41942_a_crash_at_each_step_of_a_start_behind_a_crash() {
    let mut campaign = Campaign::new(SEED, "");
    let node = campaign.start_and_check().unwrap();
    campaign.load(node, &Until::Killed(300));
    starts_after_a_crash_at_each_step(campaign);
}

#[test]
fn a_crash_at_each_step_of_the_first_start() {
    for point in STARTING {
        let mut campaign = Campaign::new(SEED, "");
        assert!(campaign.start_failing_at(point).listening().is_none(), "{point}");
        let node = campaign.start_and_check().unwrap_or_else(|error| panic!("{point}: {error}"));
        campaign.load(node, &Until::Killed(30));
        campaign.start_and_check().unwrap_or_else(|error| panic!("{point}: {error}"));
    }
}

#[test]
fn a_crash_at_each_step_of_a_commit_and_of_a_change_of_state() {
    let mut campaign = Campaign::new(SEED, "");
    for point in [
        "flush-assembled=20",
        "commit-begun=25",
        "commit-values-put=25",
        "commit-written=25",
        "commit-noted=25",
        "flush-stored=20",
        "flush-visible=20",
        "change-begun=4",
        "change-begun=5",
        "change-committed=4",
        "change-committed=5",
    ] {
        let node = campaign.start_failing_at(point).listening().expect("the node comes up");
        let checked = campaign.check(&node);
        checked.unwrap_or_else(|error| panic!("before {point}: {error}"));
        campaign.load(node, &Until::Aborted);
        let node = campaign.start_and_check().unwrap_or_else(|error| panic!("{point}: {error}"));
        campaign.check_streams(&node).unwrap_or_else(|error| panic!("{point}: {error}"));
        node.kill();
    }
}

#[test]
fn a_crash_while_out_of_line_values_are_collected() {
    let mut campaign = Campaign::new(SEED, "");
    // So that values become garbage soon.
    campaign.settings.undo_seqnos = 200;
    for point in ["collect-step=1", "collect-moved=1", "collect-committed=1", "collect-step=3"] {
        let node = campaign.start_failing_at(point).listening().expect("the node comes up");
        campaign.load(node, &Until::Aborted);
        let node = campaign.start_and_check().unwrap_or_else(|error| panic!("{point}: {error}"));
        campaign.check_streams(&node).unwrap_or_else(|error| panic!("{point}: {error}"));
        node.kill();
    }
}

#[test]
fn a_stop_that_a_crash_cuts_short_is_no_clean_one() {
    let mut campaign = Campaign::new(SEED, "");
    let node = campaign.start_failing_at("close-synced=1").listening().expect("the node comes up");
    campaign.check(&node).unwrap();
    campaign.load(node, &Until::AbortedStopping(200));
    campaign.start_and_check().unwrap();
}

#[test]
fn a_crash_while_a_vbucket_is_removed_leaves_all_of_it_or_nothing() {
    // The first commit is that of warm-up.
    for (point, removed) in [
        ("change-begun=1", false),
        ("commit-begun=2", false),
        ("commit-written=2", true),
        ("remove-committed=1", true),
        ("janitor-step=1", true),
    ] {
        let folder = crate::folder::folder();
        let node = TestNode::start(folder.path(), ACTIVE);
        let mut client = node.plain_client();
        (0..50).for_each(|n| client.set(3, &format!("key-{n}"), b"x"));
        drop(client);
        node.kill();

        let node = TestNode::start(folder.path(), ACTIVE.failing_at(point));
        let remove = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(3));
        node.plain_client().send(&remove.build());
        node.aborted();

        let node = TestNode::start(folder.path(), ACTIVE);
        let mut client = node.plain_client();
        let is_there = client.stats("vbucket").iter().any(|(name, _)| name == "vb_3");
        assert_eq!(is_there, !removed, "{point}");
        if removed {
            client.set_state(3, VbState::Active);
        }
        let changes = contents::changes(&node, 3);
        assert_eq!(changes.len(), if removed { 0 } else { 50 }, "{point}");
    }
}

#[test]
fn a_crash_while_the_files_of_all_vbuckets_are_dropped_leaves_an_empty_store_that_works() {
    for point in ["vacate-noted=1", "vacate-dropped=1"] {
        let folder = crate::folder::folder();
        let node = TestNode::start(folder.path(), ACTIVE);
        let mut client = node.plain_client();
        (0..50).for_each(|n| client.set(3, &format!("key-{n}"), &[b'x'; 4_000]));
        drop(client);
        node.kill();

        let node = TestNode::start(folder.path(), ACTIVE.failing_at(point));
        let mut requests = Vec::new();
        for vb in (0..VBUCKETS).map(VbId) {
            let remove = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(vb);
            requests.extend_from_slice(&remove.build());
        }
        node.plain_client().send(&requests);
        node.aborted();

        // All are new.
        let node = TestNode::start(folder.path(), ACTIVE);
        let mut client = node.plain_client();
        assert_eq!(contents::changes(&node, 3).len(), 0, "{point}");
        client.set(3, "key", b"x");
        drop(client);
        node.kill();
        let node = TestNode::start(folder.path(), ACTIVE);
        assert_eq!(contents::changes(&node, 3).len(), 1, "{point}");
    }
}

#[test]
fn mb_13386_a_crash_in_a_purge_leaves_documents_and_the_last_deletion() {
    for point in ["commit-begun=2", "commit-written=2", "purge-step=1"] {
        let folder = crate::folder::folder();
        let node = TestNode::start(folder.path(), ACTIVE);
        let mut client = node.plain_client();
        for n in 0..30 {
            client.set(3, &format!("key-{n}"), b"x");
        }
        (10..30).for_each(|n| client.delete(3, &format!("key-{n}")));
        drop(client);
        node.kill();

        let node = TestNode::start(folder.path(), ACTIVE.failing_at(point));
        // Up to any seqno, made at any time.
        let extras = [[0; 8], [0; 8], [1, 0, 0, 0, 0, 0, 0, 0]].concat();
        let compact = FrameBuilder::request(Opcode::COMPACT_DB).vbucket(VbId(3));
        node.plain_client().send(&compact.extras(&extras).build());
        node.aborted();

        let node = TestNode::start(folder.path(), ACTIVE);
        let mut client = node.plain_client();
        for n in 0..30 {
            let found = contents::get(&mut client, 3, &format!("key-{n}"));
            assert_eq!(found.is_some(), n < 10, "{point}: key-{n}");
        }
        let changes = contents::changes(&node, 3);
        assert_eq!(changes.last().unwrap().3[..8], 50_u64.to_be_bytes(), "{point}");
        let left = if point == "commit-begun=2" { 30 } else { 11 };
        assert_eq!(changes.len(), left, "{point}");
    }
}
