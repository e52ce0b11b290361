//! The samples of a pump, by vBucket.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{MarkerBody, Prepare, SnapshotMarker, Target};
use mcbp::{Datatype, Opaque, Seqno, VbId};
use relay::Progress;
use relay::testing::mutation;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::timeout;

use crate::support::{Rule, concat, pump};

const DUPLEX_BYTES: usize = 64 * 1024;

/// Sends `reads`, each of whole frames, one at a time: each is delivered before the next is sent.
async fn progress_after(reads: &[Bytes]) -> Arc<Progress> {
    let (mut source, reader) = duplex(DUPLEX_BYTES);
    let (writer, mut sink) = duplex(DUPLEX_BYTES);
    let (mut pump, _injector) = pump(reader, writer, Rule::default());
    let progress = Arc::new(Progress::of_data(4));
    pump.progress = Arc::clone(&progress);
    let feeding = async move {
        for bytes in reads {
            let (mut out, count) = (vec![0; bytes.len()], bytes.len());
            let (sent, read) = tokio::join!(source.write_all(bytes), sink.read_exact(&mut out));
            sent.unwrap();
            assert_eq!(read.unwrap(), count);
        }
        drop(source);
    };
    let both = async { tokio::join!(pump.run(), feeding) };
    timeout(Duration::from_secs(30), both).await.expect("everything that was sent is delivered");
    progress
}

fn change(vb: u16, seqno: u64, value_bytes: usize) -> Bytes {
    mutation(VbId(vb), Opaque(7), seqno, value_bytes)
}

#[tokio::test]
async fn a_single_change_is_counted_exactly() {
    let changes = [change(1, 10, 50), change(3, 5, 90), change(1, 11, 20)];
    let progress = progress_after(&changes).await;
    let one = progress.vbucket(VbId(1)).unwrap();
    assert_eq!((one.seqno, one.frames), (Seqno(11), 2));
    assert_eq!(one.bytes, (changes[0].len() + changes[2].len()) as u64);
    assert_eq!(progress.vbucket(VbId(3)).unwrap().seqno, Seqno(5));
    assert_eq!(progress.vbucket(VbId(0)), None, "nothing of it passed");
}

#[tokio::test]
async fn the_marker_before_a_change_does_not_hide_it() {
    let mut marker = BytesMut::new();
    let range = SnapshotMarker { start: Seqno(1), end: Seqno(9), flags: 1, body: MarkerBody::V1 };
    range.write(VbId(2), Opaque(7), &mut marker);
    let read = concat(&[marker.freeze(), change(2, 9, 10)]);
    let sample = progress_after(&[read]).await.vbucket(VbId(2)).unwrap();
    assert_eq!((sample.seqno, sample.frames), (Seqno(9), 2));
}

#[tokio::test]
async fn a_backfill_is_counted_about_right_however_its_frames_are_cut() {
    // Larger than the pump's buffer, and smaller.
    for value_bytes in [3, 100, 5000] {
        let changes: Vec<_> = (1..=500).map(|seqno| change(1, seqno, value_bytes)).collect();
        let all = concat(&changes);
        let all_bytes = all.len() as u64;
        let sample = progress_after(&[all]).await.vbucket(VbId(1)).unwrap();
        assert!(
            (all_bytes * 8 / 10..=all_bytes).contains(&sample.bytes),
            "{sample:?} of {all_bytes}"
        );
        assert!((400..=500).contains(&sample.frames), "{}", sample.frames);
    }
}

#[tokio::test]
async fn a_vbucket_that_the_bucket_cannot_have_is_not_counted() {
    let progress = progress_after(&[change(4, 1, 10), change(1, 1, 10)]).await;
    assert_eq!(progress.vbucket(VbId(4)), None);
    assert!(progress.vbucket(VbId(1)).is_some());
}

fn prepare(vb: u16, seqno: u64) -> Bytes {
    let prepare = Prepare {
        seqno: Seqno(seqno),
        rev: 1,
        flags: 0,
        expiry: 0,
        lock_time: 0,
        nru: 0,
        deleted: false,
        level: 1,
    };
    let target = Target { vb: VbId(vb), opaque: Opaque(7), cas: seqno, datatype: Datatype::RAW };
    let mut out = BytesMut::new();
    prepare.write(target, b"\0key", b"value", &mut out);
    out.freeze()
}

#[tokio::test]
async fn a_prepare_is_timed_until_it_is_acknowledged_one_of_a_vbucket_at_a_time() {
    let progress = progress_after(&[prepare(1, 10), prepare(1, 12), change(2, 3, 10)]).await;
    assert_eq!(progress.vbucket(VbId(1)).unwrap().seqno, Seqno(12), "it is a change as others are");
    assert_eq!(progress.unacknowledged_for(VbId(2)), None, "a plain change waits for nobody");
    assert_eq!(progress.acknowledged(VbId(2), Seqno(3)), None);
    assert!(progress.unacknowledged_for(VbId(1)).is_some());
    assert_eq!(progress.acknowledged(VbId(1), Seqno(9)), None, "not this one");
    assert!(progress.acknowledged(VbId(1), Seqno(10)).is_some());
    assert_eq!(progress.unacknowledged_for(VbId(1)), None, "12 was not timed");
    assert_eq!(progress.acknowledged(VbId(1), Seqno(12)), None);
    assert_eq!(progress.acknowledged(VbId(9), Seqno(12)), None, "no such vBucket");
}

#[tokio::test]
async fn a_prepare_that_a_new_stream_sends_again_is_timed_anew() {
    let progress = progress_after(&[prepare(1, 10), prepare(1, 8)]).await;
    assert!(progress.acknowledged(VbId(1), Seqno(8)).is_some(), "10 went with its stream");
}
