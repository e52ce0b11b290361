//! STAT: the groups, and their names as a real data node has them.

use std::collections::BTreeSet;

use mcbp::{FrameBuilder, Opcode, Status};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

/// Returns the names in a recorded group.
fn recorded(file: &str) -> BTreeSet<String> {
    let text = recordings::stats(file);
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn no_name_of_a_vbucket_group_is_our_own() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    for (group, file) in [
        ("vbucket-details 0", "vbucket-details-0.txt"),
        ("vbucket-seqno 0", "vbucket-seqno-0.txt"),
        ("failovers 0", "failovers-0.txt"),
    ] {
        let ours: BTreeSet<String> = client.stat(group).unwrap().into_keys().collect();
        assert!(!ours.is_empty());
        let theirs = recorded(file);
        let own: Vec<_> = ours.difference(&theirs).collect();
        assert!(own.is_empty(), "{group}: {own:?}");
    }
}

#[test]
fn the_general_group_uses_the_names_of_a_real_node() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    client.set(1, "a", "x");
    client.delete(1, "a");
    client.get(0, "a");
    client.get(0, "b");
    let stats = client.stat("").unwrap();
    for (name, value) in [
        ("curr_items", "1"),
        ("curr_items_tot", "1"),
        ("vb_active_num", "8"),
        ("ep_vb_total", "8"),
        ("cmd_set", "2"),
        ("cmd_get", "2"),
        ("get_hits", "1"),
        ("get_misses", "1"),
        ("delete_hits", "1"),
        ("ep_total_persisted", "3"),
        ("ep_diskqueue_memory", "0"),
        ("curr_connections", "1"),
        ("ep_warmup_state", "done"),
        ("ep_data_traffic_enabled", "true"),
    ] {
        assert_eq!(stats[name], value, "{name}");
    }
    let theirs = recorded("general.txt");
    // Two groups in one, and a state that the recorded node had no vBucket in.
    let also = ["ep_warmup", "ep_warmup_state"];
    let known = |name: &String| {
        theirs.contains(name) || also.contains(&name.as_str()) || name.starts_with("kvnode_")
    };
    let own: Vec<_> = stats.keys().filter(|name| !known(name)).collect();
    assert!(own.is_empty(), "{own:?}");
}

#[test]
fn groups_of_one_vbucket_and_of_all() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let all = client.stat("vbucket").unwrap();
    assert_eq!(all.len(), 8);
    assert!(all.values().all(|state| state == "active"));
    assert_eq!(client.stat("vbucket-seqno").unwrap().len(), 80);
    assert_eq!(client.stat("vbucket-seqno 9"), Err(Status::NOT_MY_VBUCKET));
    assert_eq!(client.stat("vbucket-seqno x"), Err(Status::EINVAL));
    assert_eq!(client.stat("warmup").unwrap()["ep_warmup_thread"], "complete");
    assert_eq!(client.stat("nonsense"), Err(Status::KEY_ENOENT));
    assert_eq!(client.stat("nonsense 1"), Err(Status::KEY_ENOENT));
    let invalid = client.call(&FrameBuilder::request(Opcode::STAT).key(b"\xff"));
    assert_eq!(invalid.status, Status::KEY_ENOENT);
}

#[test]
fn statistics_beside_the_removal_of_a_vbucket_are_no_failed_read() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, options());
    let mut client = Client::ready(&node);
    disk.forget(0);
    assert_eq!(client.stat("vbucket-details").unwrap()["vb_0:num_items"], "0");
    assert_eq!(client.stat("").unwrap()["ep_data_read_failed"], "0");
}
