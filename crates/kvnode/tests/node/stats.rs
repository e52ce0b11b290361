//! STAT: the groups, and their names as a real data node has them.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Feature, FrameBuilder, Opcode, Status};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, PASSWORD, USER, options, start_in_memory};

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

/// Groups of a bucket: every name is one of the recorded group, whatever vBucket, collection or
/// store it is about.
#[test]
fn the_groups_of_a_bucket_use_the_names_of_a_real_node() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    for (group, file, has) in [
        ("timings", "timings.txt", ("store_cmd", None)),
        ("memory", "memory.txt", ("mem_used", None)),
        ("kvstore", "kvstore.txt", ("rw_0:io_num_write", Some("1"))),
        ("diskinfo", "diskinfo.txt", ("ep_db_file_size", None)),
        ("workload", "workload.txt", ("ep_workload:num_shards", Some("1"))),
        ("config", "config.txt", ("ep_max_vbuckets", Some("8"))),
        ("hash", "hash.txt", ("vb_0:counted", Some("1"))),
        ("checkpoint", "checkpoint.txt", ("vb_0:state", Some("active"))),
        ("collections", "collections.txt", ("0x0:0x0:items", Some("1"))),
        ("collections-details", "collections-details.txt", ("vb_0:0x0:high_seqno", Some("1"))),
        ("collections-details 0", "collections-details-0.txt", ("vb_0:0x0:items", Some("1"))),
        ("scopes", "scopes.txt", ("0x0:name", Some("_default"))),
        ("scopes-details", "scopes-details.txt", ("vb_0:0x0:0x0:items", Some("1"))),
        ("durability-monitor 0", "durability-monitor-0.txt", ("vb_0:num_tracked", Some("0"))),
        (
            "vbucket-durability-state",
            "vbucket-durability-state.txt",
            ("vb_0:high_seqno", Some("1")),
        ),
        ("key a 0", "key-k1-0.txt", ("key_vb_state", Some("active"))),
        ("vkey a 0", "vkey-k1-0.txt", ("key_valid", Some("valid"))),
    ] {
        let ours = client.stat(group).unwrap();
        let theirs = recorded(file);
        // The recorded node had vBuckets 0 to 3.
        let known = |name: &&String| !theirs.contains(*name) && !is_of_later_vbucket(name);
        let own: Vec<_> = ours.keys().filter(known).collect();
        assert!(own.is_empty(), "{group}: {own:?}");
        let (name, value) = has;
        assert!(ours.contains_key(name), "{group}: {name} is missing");
        assert!(value.is_none_or(|value| ours[name] == value), "{group}: {ours:?}");
    }
    let refused = recordings::stats("durability-monitor.txt");
    assert_eq!(refused.trim(), "status 0x83");
    assert_eq!(client.stat("durability-monitor"), Err(Status::NOT_SUPPORTED));
    assert_eq!(client.stat("memory 1"), Err(Status::KEY_ENOENT));
}

#[test]
fn a_document_is_told_by_its_key_vbucket_and_collection() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::JSON]);
    let cas = client.set(0, "a", "{}").cas;
    let found = client.stat("key a 0").unwrap();
    assert_eq!((&found["key_cas"], &found["key_datatype"][..]), (&cas.to_string(), "json"));
    assert_eq!((&found["key_flags"][..], &found["key_is_dirty"][..]), ("0", "false"));
    assert_eq!(client.stat("key-byid a 0 0x0").unwrap(), found);
    for (group, file) in [("key nope 0", "key-nope-0.txt"), ("vkey", "vkey.txt")] {
        assert_eq!(recordings::stats(file).trim(), "status 0x1");
        assert_eq!(client.stat(group), Err(Status::KEY_ENOENT), "{group}");
    }
    assert_eq!(client.stat("key a 9"), Err(Status::NOT_MY_VBUCKET));
    assert_eq!(client.stat("key-byid a 0 0x8"), Err(Status::UNKNOWN_COLLECTION));
    assert_eq!(client.stat("key-byid a 0 eight"), Err(Status::EINVAL));
    client.delete(0, "a");
    assert_eq!(client.stat("key a 0"), Err(Status::KEY_ENOENT));
}

fn is_of_later_vbucket(name: &str) -> bool {
    let vb = name.strip_prefix("vb_").and_then(|rest| rest.split(':').next());
    vb.and_then(|vb| vb.parse().ok()).is_some_and(|vb: u16| vb > 3)
}

#[test]
fn units_are_those_of_a_real_node() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let ours = client.stat("config").unwrap();
    let theirs = recordings::stats("config.txt");
    let theirs: BTreeMap<_, _> = theirs.lines().filter_map(|line| line.split_once(' ')).collect();
    // Settings with the same default.
    for name in [
        "ep_exp_pager_stime",
        "ep_persistent_metadata_purge_age",
        "ep_hlc_drift_ahead_threshold_us",
        "ep_hlc_drift_behind_threshold_us",
        "ep_max_failover_entries",
        "ep_bucket_type",
        "ep_conflict_resolution_type",
    ] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    assert_eq!(client.stat("").unwrap()["vb_active_expired"], "0");
}

#[test]
fn without_a_bucket_only_groups_that_need_none_are_answered() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    assert_eq!(client.stat("bucket_details"), Err(Status::EACCESS));
    client.authenticate(USER, PASSWORD);
    for (group, file) in [
        ("", "nobucket-general.txt"),
        ("vbucket", "nobucket-vbucket.txt"),
        ("settings", "nobucket-settings.txt"),
    ] {
        let status = recordings::stats(file);
        let status = status.trim().strip_prefix("status 0x").unwrap();
        let status = Status(u16::from_str_radix(status, 16).unwrap());
        assert_eq!(client.stat(group), Err(status), "{group:?}");
    }
    let details = &client.stat("bucket_details").unwrap()["bucket details"];
    let details: serde_json::Value = serde_json::from_str(details).unwrap();
    let recorded = recordings::stats("nobucket-bucket_details.txt");
    let recorded = recorded.trim().strip_prefix("bucket details ").unwrap();
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let (ours, theirs) = (&details["buckets"][0], &recorded["buckets"][1]);
    for (name, value) in ours.as_object().unwrap() {
        assert_eq!(value.is_string(), theirs[name].is_string(), "{name}");
    }
    assert_eq!((&ours["type"], &ours["index"]), (&theirs["type"], &theirs["index"]));
    let one = client.stat(&format!("bucket_details {BUCKET}")).unwrap();
    assert!(one[BUCKET].contains("Couchbase"));
    assert_eq!(client.stat("bucket_details nosuch"), Err(Status::KEY_ENOENT));
}
