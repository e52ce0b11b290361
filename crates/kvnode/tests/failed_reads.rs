//! What is logged of reads that fail: a few, and the number of the others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod support;

use std::sync::Mutex;
use std::time::Duration;

use kvnode::BucketOptions;
use log::{Level, Log, Metadata, Record};
use mcbp::Status;
use mcbp::kv::StoreExtras;
use support::client::Client;
use support::memory_store::Disk;
use support::{eventually, options, start_in_memory};

const FAILURES: usize = 500;
const LOGGED: usize = 5;

/// Keeps every line of level ERROR.
struct Errors(Mutex<Vec<String>>);

static ERRORS: Errors = Errors(Mutex::new(Vec::new()));

impl Log for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() == Level::Error
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn damage() -> vbucket::StoreError {
    let (what, detail) = ("vb:0 seqno 1".to_owned(), "told to fail".to_owned());
    vbucket::StoreError::Damaged { what, detail }
}

/// One test, for a process has one log.
#[test]
fn failed_reads_are_logged_within_a_limit() {
    log::set_logger(&ERRORS).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    many_are_a_few_lines_and_a_number();
    ERRORS.0.lock().unwrap().clear();
    a_failed_scan_for_expired_documents_is_logged();
}

/// Every document is read from the disk.
fn uncached() -> BucketOptions {
    BucketOptions { row_cache_bytes_max: 0, ..options() }
}

fn many_are_a_few_lines_and_a_number() {
    let disk = Disk::new();
    let node = start_in_memory(&disk, uncached());
    let mut client = Client::ready(&node);
    client.set(0, "a", "x");
    disk.fail_reads(Some(damage()));
    for _ in 0..FAILURES {
        assert_eq!(client.get(0, "a").status, Status::EINTERNAL);
    }
    disk.fail_reads(None);
    assert_eq!(client.stat("").unwrap()["ep_data_read_failed"], FAILURES.to_string());
    node.shutdown().unwrap();
    let lines = ERRORS.0.lock().unwrap();
    assert_eq!(lines.len(), LOGGED + 1, "{lines:?}");
    assert!(lines[0].contains("vb:0 seqno 1"), "{lines:?}");
    let rest = format!("suppressed={} total={FAILURES}", FAILURES - LOGGED);
    assert!(lines[LOGGED].contains(&rest), "{lines:?}");
}

fn a_failed_scan_for_expired_documents_is_logged() {
    let disk = Disk::new();
    let mut options = options();
    options.expiry_pager_interval = Duration::from_millis(5);
    let node = start_in_memory(&disk, options);
    let mut client = Client::ready(&node);
    let past = StoreExtras { flags: 0, expiry: 1_000_000_000 };
    disk.fail_reads(Some(damage()));
    eventually("the failure is logged", || {
        ERRORS.0.lock().unwrap().iter().any(|line| line.starts_with("expiry scan failed"))
    });
    disk.fail_reads(None);
    client.set_with(0, "a", "x", past, 0);
    eventually("the document expires", || disk.meta(0).unwrap().high_seqno.0 == 2);
    assert_ne!(client.stat("").unwrap()["ep_data_read_failed"], "0");
    node.shutdown().unwrap();
}
