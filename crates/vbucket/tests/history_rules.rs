//! What a replica may say of its change history, whatever its producer sends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;

use consumer_bench::{Bench, built};
use mcbp::dcp::{MarkerBody, OsoSnapshot, SnapshotMarker, marker_flags};
use mcbp::{Opaque, Seqno, VbId};
use vbucket::consumer::Replicas as _;

const MEMORY: u32 = marker_flags::MEMORY | marker_flags::HISTORY;
const DISK: u32 = marker_flags::DISK
    | marker_flags::CHECKPOINT
    | marker_flags::HISTORY
    | marker_flags::MAY_CONTAIN_DUPLICATES;

/// A replica that has seqno 1, which came as history.
fn replica() -> (Bench, Opaque) {
    let mut bench = Bench::with_window(1 << 20);
    bench.node.put(0, 0, &[(1, 0)]);
    let stream = bench.open(0);
    snapshot(&mut bench, stream, (0, 1), MEMORY, &[1]);
    assert_eq!(at(&bench), (1, 1));
    (bench, stream)
}

fn snapshot(bench: &mut Bench, stream: Opaque, (start, end): (u64, u64), flags: u32, rows: &[u64]) {
    let (start, end) = (Seqno(start), Seqno(end));
    let marker = SnapshotMarker { start, end, flags, body: MarkerBody::V1 };
    bench.feed(&built(|out| marker.write(VbId(0), stream, out)));
    rows.iter().for_each(|&seqno| bench.mutation(0, stream, seqno));
    bench.settle();
    bench.run_effects();
}

/// The high seqno, and where the history begins.
fn at(bench: &Bench) -> (u64, u64) {
    let facts = bench.node.facts(VbId(0)).unwrap();
    (facts.high_seqno.0, facts.history_start.0)
}

#[test]
fn history_from_memory_goes_on() {
    let (mut bench, stream) = replica();
    snapshot(&mut bench, stream, (2, 9), MEMORY, &[2, 9]);
    assert_eq!(at(&bench), (9, 1));
}

#[test]
fn history_from_disk_goes_on_only_without_a_gap() {
    let (mut bench, stream) = replica();
    snapshot(&mut bench, stream, (2, 5), DISK, &[2, 3, 5]);
    assert_eq!(at(&bench), (5, 1));
    // The cursor was dropped; meanwhile the producer's history begins at seqno 10 only. kv_engine
    // does not say so where nothing is left of what was before.
    snapshot(&mut bench, stream, (6, 20), DISK, &[10, 15, 20]);
    assert_eq!(at(&bench), (20, 10));
}

#[test]
fn the_newest_rows_end_the_history_and_the_second_part_begins_it() {
    let (mut bench, stream) = replica();
    let newest = marker_flags::DISK | marker_flags::CHECKPOINT;
    snapshot(&mut bench, stream, (2, 20), newest, &[4, 8]);
    assert_eq!(at(&bench), (8, 21));
    snapshot(&mut bench, stream, (2, 20), DISK, &[12, 20]);
    assert_eq!(at(&bench), (20, 12));
}

#[test]
fn an_oso_snapshot_is_no_history() {
    let (mut bench, stream) = replica();
    bench.feed(&built(|out| OsoSnapshot { start: true }.write(VbId(0), stream, out)));
    [9, 4].iter().for_each(|&seqno| bench.mutation(0, stream, seqno));
    bench.feed(&built(|out| OsoSnapshot { start: false }.write(VbId(0), stream, out)));
    bench.settle();
    bench.run_effects();
    assert_eq!(at(&bench), (9, 10));
}
