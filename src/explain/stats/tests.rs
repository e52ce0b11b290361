//! Statistics of real nodes, and those of a kvnode.

use super::*;

fn recorded(file: &str) -> Vec<(String, String)> {
    let text = recordings::stats(file);
    let stat = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(stat).collect()
}

#[test]
fn details_and_seqnos_of_real_nodes() {
    let mut copy = VbCopy::default();
    details(VbId(0), &recorded("vbucket-details-0.txt"), &mut copy);
    seqnos(VbId(0), &recorded("vbucket-seqno-0.txt"), &mut copy);
    assert_eq!(copy.state, Some(VbState::Active));
    let figures = [copy.high, copy.persisted, copy.documents, copy.purge, copy.pending_prepares];
    assert_eq!(figures, [Some(10), Some(10), Some(10), Some(0), Some(0)]);
    assert_eq!(copy.uuid, Some(259_388_300_033_812));
    assert_eq!((copy.snapshot, copy.topology), (Some((10, 10)), Some(Vec::new())));
    let mut replica = VbCopy::default();
    details(VbId(0), &recorded("replica-vbucket-details-0.txt"), &mut replica);
    assert_eq!(replica.state, Some(VbState::Replica));
    let durable = (replica.high_prepared, replica.high_completed);
    assert_eq!((replica.high, durable), (Some(33), (Some(31), Some(31))));
    details(VbId(5), &recorded("vbucket-details-0.txt"), &mut replica);
    assert_eq!((replica.state, replica.high), (None, None), "of another vBucket");
}

#[test]
fn a_topology_of_a_real_node() {
    let mut copy = VbCopy::default();
    details(VbId(0), &recorded("vbucket-durability-state-0.txt"), &mut copy);
    let chain = vec![Some("n1".to_owned()), Some("n2".to_owned())];
    assert_eq!(copy.topology, Some(vec![chain]));
}

#[test]
fn failover_logs_of_real_nodes() {
    let log = failovers(VbId(5), &recorded("failovers-5-after-crash.txt")).unwrap();
    let log: Vec<_> = log.iter().map(|entry| (entry.uuid.0, entry.seqno.0)).collect();
    assert_eq!(log, [(259_632_021_876_561, 21), (46_963_187_945_630, 0)]);
    assert_eq!(failovers(VbId(0), &recorded("failovers-0.txt")).map(|log| log.len()), Some(1));
    assert_eq!(failovers(VbId(900), &recorded("failovers-900.txt")), None, "a refusal");
    let cut: Vec<_> = recorded("failovers-5-after-crash.txt").into_iter().take(3).collect();
    assert_eq!(failovers(VbId(5), &cut), None, "an entry is missing");
}

#[test]
fn tombstones_are_believed_of_a_node_that_counts_them() {
    let takeover = recorded("dcp-vbtakeover-0-x.txt");
    let of_real = recorded("vbucket-details-0.txt");
    assert_eq!(deletions(VbId(0), &of_real, &takeover), Some(1));
    let of_kvnode = [("vb_0:num_items".to_owned(), "5".to_owned())];
    assert_eq!(deletions(VbId(0), &of_kvnode, &takeover), None);
}

#[test]
fn streams_of_real_nodes_at_both_ends_and_in_both_forms() {
    let link = "replication:n1->n2:default";
    let mut shown = Vec::new();
    for file in ["dcp.txt", "dcp-with-filter-value.txt"] {
        let found = streams(VbId(0), &recorded_dcp(file));
        let ours = found.iter().find(|stream| stream.connection == link);
        shown.push(ours.unwrap_or_else(|| panic!("{file}: {found:?}")).clone());
    }
    for stream in shown {
        assert_eq!(stream.role.as_deref(), Some("producer"));
        assert_eq!(stream.state.as_deref(), Some("in-memory"));
        let seqnos = (stream.last_sent, stream.snapshot_end, stream.last_received);
        assert_eq!(seqnos, (Some(33), Some(33), None));
        let bytes = (stream.buffered_bytes, stream.backfill_sent, stream.window_bytes);
        assert_eq!(bytes, (Some(0), Some(3), Some(107_374_184)));
    }
    let replica = streams(VbId(0), &recorded_dcp("replica-dcp.txt"));
    let ours = replica.iter().find(|stream| stream.role.as_deref() == Some("consumer")).unwrap();
    assert_eq!(ours.last_received, Some(33));
    assert_eq!((ours.state.as_deref(), ours.snapshot_end), (Some("reading"), Some(33)));
    assert_eq!(streams(VbId(900), &recorded_dcp("dcp.txt")), []);
}

/// A value may have blanks; a name has none where connections have none.
fn recorded_dcp(file: &str) -> Vec<(String, String)> {
    let text = recordings::stats(file);
    let stat = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(stat).collect()
}
