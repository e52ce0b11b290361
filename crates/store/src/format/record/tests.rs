//! Records are decoded as they were encoded; malformed ones are refused.

use proptest::prelude::*;

use super::*;

const VB: VbId = VbId(7);
/// Of the commit that writes a record.
const NUMBER: u64 = 300;

fn record(numbers: [u64; 9], branches: &[(u64, u64)], points: &[u64], topology: &str) -> VbRecord {
    let [generation, items, undo_floor, high, start, end, purge, max_cas, max_deleted_rev] =
        numbers;
    // No default collection where there are no documents.
    let highest = Seqno(high.wrapping_sub(items / 2));
    let default = Collection { start: Seqno(items / 3), high: highest, items };
    let default = Some(default).filter(|_| items > 0);
    let collections = Collections { default, named: Arc::default() };
    let entry = |&(uuid, seqno)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    let mut rising = Points::default();
    points.iter().for_each(|&point| rising.push(point));
    let meta = VbMeta {
        vb: VB,
        state: VbState::Replica,
        failover: FailoverTable::from_log(&branches.iter().map(entry).collect::<Vec<_>>()).unwrap(),
        high_seqno: Seqno(high),
        snapshot_start: Seqno(start),
        snapshot_end: Seqno(end),
        purge_seqno: Seqno(purge),
        max_cas,
        max_deleted_rev,
        durable: DurableSeqnos {
            high_prepared: Seqno(purge),
            high_completed: Seqno(start),
            max_visible: Seqno(high.wrapping_sub(end)),
        },
        history_start: Seqno::ZERO,
        topology: topology.to_owned(),
    };
    VbRecord {
        meta,
        generation,
        collections,
        undo_floor,
        points: rising,
        versions: Versions::default(),
    }
}

fn a_record() -> VbRecord {
    let numbers = [1, 127, 128, u64::MAX, 0, 16_384, 5, 1 << 60, 9];
    record(numbers, &[(0xffff_ffff_ffff, 9), (1, 0)], &[3, 200, 90_000], r#"[["a","b"]]"#)
}

#[test]
fn every_changed_byte_and_every_missing_end_is_noticed() {
    let bytes = a_record().encode(NUMBER);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(VbRecord::decode(VB, &flipped).is_err(), "byte {at}");
        assert!(VbRecord::decode(VB, &bytes[..at]).is_err(), "cut at {at}");
    }
    assert!(VbRecord::decode(VbId(8), &bytes).is_err(), "a record of another vBucket");
}

#[test]
fn a_record_of_another_version_is_refused_by_name() {
    let current = a_record().encode(NUMBER);
    let body = &current[1..current.len() - 4];
    // What begins with a brace is the JSON of the first version.
    for version in [0, NUMBERED + 1, b'{'] {
        let bytes = with_checksum([&[version], body].concat(), &record_key(VB));
        let flaw = VbRecord::decode(VB, &bytes).unwrap_err();
        assert_eq!(flaw, "the record is of a version that this program does not know");
    }
}

#[test]
fn bytes_that_are_no_record_are_refused_whatever_their_checksum() {
    let whole = a_record().encode(NUMBER);
    let body = &whole[..whole.len() - 4];
    // Up to the topology, which may have any length.
    for cut in 1..body.len() - a_record().meta.topology.len() {
        let bytes = with_checksum(body[..cut].to_vec(), &record_key(VB));
        let flaw = VbRecord::decode(VB, &bytes).unwrap_err();
        assert_eq!(flaw, "the record is not what its version says", "cut at {cut}");
    }
    let mut numbers = Numbers(&[0xff; 11]);
    assert_eq!(numbers.take(), None, "more than 64 bits");
}

#[test]
fn a_record_without_the_number_of_its_commit_is_read() {
    let numbered = a_record().encode(NUMBER);
    // Without the version and the two bytes of the number.
    let bytes = with_checksum(numbered[3..numbered.len() - 4].to_vec(), &record_key(VB));
    assert_eq!(VbRecord::decode(VB, &bytes), Ok((a_record(), 0)));
}

#[test]
fn a_record_of_a_busy_vbucket_is_short() {
    let points: Vec<u64> = (0..40_000).step_by(25).collect();
    let cas = 1_800_000_000_000_000_000;
    let numbers = [1_024, 1_000, 39_000, 40_000, 40_000, 40_000, 0, cas, 0];
    let bytes = record(numbers, &[(0xabcd_ef01_2345, 0)], &points, "").encode(NUMBER);
    assert!(bytes.len() <= 128, "{} bytes", bytes.len());
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was(
        numbers: [u64; 9],
        branches in prop::collection::vec((1..u64::MAX, any::<u64>()), 1..25),
        points in prop::collection::vec(any::<u64>(), 0..40),
        topology in ".{0,40}",
    ) {
        let (mut branches, mut points) = (branches, points);
        branches.sort_by_key(|&(_, seqno)| std::cmp::Reverse(seqno));
        points.sort_unstable();
        let record = record(numbers, &branches, &points, &topology);
        prop_assert_eq!(VbRecord::decode(VB, &record.encode(NUMBER)).unwrap(), (record, NUMBER));
    }
}
