//! The power fails at an active node that acknowledges before it syncs: its replica is ahead.
//!
//! What a power cut leaves is what was synced, and of the rest as much as the system happened to
//! write. Here it is the least: the folder as it was after a commit that syncs (a state is synced
//! in any case), while the node had nothing else to do.

use kvnode::Durability;
use mcbp::{Status, VbState};

use crate::client::wait_for;
use crate::contents::{self, Contents};
use crate::folder::folder;
use crate::node::{ACTIVE, REPLICA, Settings, TestNode, copy};
use crate::relay::Relay;

const RELAXED: Settings = Settings { durability: Durability::Buffered, ..ACTIVE };
/// The synced change of this vBucket's state marks the cut.
const MARKER: u16 = 7;
const VBS: [u16; 2] = [0, 1];

fn write(node: &TestNode, prefix: &str, count: u32) {
    let mut client = node.client();
    for vb in VBS {
        (0..count).for_each(|n| client.set(vb, &format!("key-{}", n % 70), prefix.as_bytes()));
    }
}

/// Replicates until both nodes are at the same seqnos.
fn replicate(active: &TestNode, replica: &TestNode) {
    let relay = Relay::between(active, replica, "power cut");
    for vb in VBS {
        assert_eq!(relay.add_and_wait(vb, 0), Status::SUCCESS);
    }
    let (mut here, mut there) = (active.plain_client(), replica.plain_client());
    for vb in VBS {
        let high = contents::high_seqno(&mut here, vb);
        let table = &contents::tables(&mut here)[usize::from(vb)];
        wait_for("the replica catching up", || {
            contents::high_seqno(&mut there, vb) == high
                && contents::tables(&mut there)[usize::from(vb)] == *table
        });
    }
}

fn all(node: &TestNode) -> Vec<Contents> {
    VBS.iter().map(|&vb| contents::contents(node, vb)).collect()
}

/// Cuts the power of an active whose replica is ahead then; returns whether both end the same.
/// `after_the_cut` are the failpoints of the first start after it.
fn ends_the_same(after_the_cut: &'static str) -> bool {
    let folders = [folder(), folder(), folder()];
    let [active_folder, replica_folder, synced] = folders.each_ref().map(|folder| folder.path());
    let active = TestNode::start(active_folder, RELAXED);
    let replica = TestNode::start(replica_folder, REPLICA);
    write(&active, "before", 100);
    replicate(&active, &replica);
    active.plain_client().set_state(MARKER, VbState::Active);
    copy(active_folder, synced);
    write(&active, "lost in the cut", 60);
    replicate(&active, &replica);
    let lost = all(&active);
    active.kill();

    std::fs::remove_dir_all(active_folder).unwrap();
    copy(synced, active_folder);
    // It comes up, nobody writes, and it is stopped cleanly: only what it wrote to disk during
    // warm-up tells the next start of the cut (MB-43744).
    TestNode::start(active_folder, RELAXED.failing_at(after_the_cut)).stop();
    let active = TestNode::start(active_folder, RELAXED);
    // More than was lost, so that the replica is not ahead any more: its seqnos look right.
    write(&active, "behind the cut", 90);
    replicate(&active, &replica);
    let (here, there) = (all(&active), all(&replica));
    for (vb, lost) in VBS.iter().zip(&lost) {
        assert_eq!(lost.changes.last().unwrap().3[..8], 160_u64.to_be_bytes(), "vb:{vb}");
    }
    here == there
}

#[test]
fn mb_41942_a_replica_ahead_of_an_active_that_lost_power_is_rolled_back() {
    assert!(ends_the_same(""));
}

/// The same steps find a node whose new branch is not on disk before it is served.
#[test]
fn mb_41942_without_the_early_commit_the_copies_differ() {
    assert!(!ends_the_same("no-early-commit"));
}
