//! Prints how fast the store loads, overwrites, scans, opens and drops, in a temporary folder; and
//! what a row costs the committing thread, where commits write steps and where they write records.
//!
//! `cargo run --release -p store --example rates [DOCUMENTS]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example, to be run by hand")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mcbp::{Datatype, Seqno, VbId, VbState, VbUuid};
use store::{FjallStore, Options};
use vbucket::store::{Batch, Durability, ScanStep, Store};
use vbucket::{Change, FailoverTable, Kind, Replaces, Row, VbMeta};

const VBUCKETS: u64 = 1_024;
const BATCH_ROWS: u64 = 1_000;

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path(), Options::default()).unwrap();
    let bytes: usize = (0..count).map(value_len).sum();
    let mib = bytes as f64 / f64::from(1 << 20);
    println!("{count} documents, {mib:.0} MiB");

    for (pass, name) in [(0, "insert"), (1, "overwrite")] {
        let start = Instant::now();
        for from in (0..count).step_by(BATCH_ROWS as usize) {
            let rows = from..count.min(from + BATCH_ROWS);
            store.commit(&batch(rows, count, pass), Durability::Synced).unwrap();
        }
        report(name, start, count, mib);
    }
    let start = Instant::now();
    let mut rows = 0;
    for vb in 0..VBUCKETS {
        let mut scan = store.scan(VbId(vb as u16), Seqno(0), Seqno::MAX).unwrap();
        scan.run(&mut |_| {
            rows += 1;
            ScanStep::More
        });
    }
    report("scan", start, rows, mib);
    let start = Instant::now();
    for n in (0..count).step_by(10) {
        store.get(VbId((n % VBUCKETS) as u16), key(n).as_bytes()).unwrap().unwrap();
    }
    report("get", start, count / 10, mib / 10.0);
    println!("on disk: {} MiB", store.disk_bytes() >> 20);
    store.close().unwrap();
    drop(store);

    let start = Instant::now();
    let store = FjallStore::open(dir.path(), Options::default()).unwrap();
    println!("open: {:?}", start.elapsed());
    let start = Instant::now();
    let ends = 200;
    for n in 0..ends {
        let single = batch(count + n..count + n + 1, count, 2);
        store.commit(&single, Durability::Synced).unwrap();
    }
    println!(
        "synced commits of one row: {:.0}/s",
        f64::from(ends as u32) / start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    store.remove(VbId(1)).unwrap();
    println!("remove: {:?}", start.elapsed());
    for _ in 0..3 {
        println!("a row of a commit: {:.1} us with steps", commit_cost(Options::default()));
        let records = Options { steps_vbuckets_min: usize::MAX, ..Options::default() };
        println!("a row of a commit: {:.1} us with records", commit_cost(records));
    }
}

/// Microseconds of this thread's processor time for a row, of buffered commits as of a node with
/// many clients: 300 documents all over the vBuckets, each replacing one that is known.
fn commit_cost(options: Options) -> f64 {
    const DOCUMENTS: u64 = 100_000;
    const ROWS: u64 = 300;
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path(), options).unwrap();
    let mut newest: std::collections::HashMap<Bytes, Arc<Row>> = Default::default();
    let mut time = 0.0;
    for pass in 0..3 {
        for from in (0..DOCUMENTS - ROWS).step_by(ROWS as usize) {
            let mut batch = batch(from..from + ROWS, DOCUMENTS, pass);
            for change in &mut batch.changes {
                let row = Row { value: Bytes::from_static(&[7; 256]), ..(*change.row).clone() };
                change.row = Arc::new(row);
                let older = newest.insert(change.row.key.clone(), Arc::clone(&change.row));
                change.replaces = older.map_or(Replaces::Nothing, Replaces::Row);
            }
            let before = processor_us();
            store.commit(&batch, Durability::Buffered).unwrap();
            time += if pass == 0 { 0.0 } else { processor_us() - before };
        }
    }
    time / (2 * DOCUMENTS) as f64
}

/// What this thread has used so far.
fn processor_us() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3
}

fn report(name: &str, start: Instant, rows: u64, mib: f64) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{name}: {:.0} rows/s, {:.0} MiB/s, {seconds:.2} s",
        rows as f64 / seconds,
        mib / seconds
    );
}

fn key(n: u64) -> String {
    format!("\0document-{n:08}")
}

/// 64 B to 64 KiB, the small ones far more often.
fn value_len(n: u64) -> usize {
    64 << (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60).min(10).min(n % 11)
}

fn batch(rows: std::ops::Range<u64>, count: u64, pass: u64) -> Batch {
    let mut batch = Batch::default();
    let mut highs = std::collections::BTreeMap::new();
    for n in rows {
        let vb = VbId((n % VBUCKETS) as u16);
        let seqno = Seqno(n / VBUCKETS + 1 + pass * (count / VBUCKETS + 1));
        highs.insert(vb, seqno);
        let mut value = vec![0; value_len(n)];
        let mut state = n + pass;
        value.fill_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let row = Row {
            key: key(n).into(),
            seqno,
            rev: pass + 1,
            cas: n,
            datatype: Datatype::RAW,
            kind: Kind::Document { flags: 0, expiry: 0 },
            prepared: Seqno::ZERO,
            value: Bytes::from(value),
        };
        batch.changes.push(Change {
            vb,
            row: Arc::new(row),
            replaces: Replaces::Unknown,
            completes: None,
            keeps_before: Seqno::ZERO,
        });
    }
    batch.metas = highs.into_iter().map(|(vb, high)| meta(vb, high)).collect();
    batch
}

fn meta(vb: VbId, high: Seqno) -> VbMeta {
    VbMeta {
        vb,
        state: VbState::Active,
        failover: FailoverTable::new(VbUuid(1)),
        high_seqno: high,
        snapshot_start: high,
        snapshot_end: high,
        purge_seqno: Seqno(0),
        max_cas: 0,
        max_deleted_rev: 0,
        durable: Default::default(),
        history_start: Seqno::ZERO,
        topology: String::new(),
    }
}
