//! Large values, three quarters of which are overwritten: how long it takes until their files are
//! collected.
//!
//! A replaced value is garbage once a rollback does not need it: after a thousand further changes
//! of its vBucket, which are of small documents here.

use std::io;

use super::Arguments;
use super::table::Table;
use crate::documents::Documents;
use crate::paced::Paced;
use crate::server::{BUCKET, Server, VBUCKETS};
use crate::watch::{disk_bytes, until_quiet};

/// Numbers of large documents begin here.
const FIRST: u64 = 1 << 40;
/// Changes of a vBucket after which nothing before them is kept for a rollback: twice its window,
/// because whole windows are trimmed.
const CHANGES: u64 = 2_100;
const GB: f64 = 1e9;

/// Stores and overwrites, and waits for the collection.
pub(super) fn measure(
    arguments: &Arguments,
    node: &Server,
    small: u64,
    table: &mut Table,
) -> io::Result<()> {
    let Arguments { large, large_value, .. } = *arguments;
    let (documents, count) = (Documents { value: large_value, first: FIRST }, large as f64);
    table.step(format!("{large} of {large_value} bytes more"));
    let took = documents.store(node, BUCKET, 0..large)?;
    table.add("load, s", took.as_secs_f64());
    table.add("load, documents/s", count / took.as_secs_f64());
    let push = |out: &mut Vec<u8>| arguments.small().push_get(out, fastrand::u64(..small));
    let paced = Paced { server: node, bucket: BUCKET, rate: arguments.rate, push: &push };
    let folder = node.folder.join(BUCKET).join("values");
    let full = disk_bytes(&folder)?;
    let ((), gets) = paced.during(|| overwrite(arguments, node, documents, small))?;
    table.latencies("gets while values are overwritten", &gets);
    let before = node.written_bytes()?;
    let (quiet, gets) = paced.during(|| until_quiet(node, &folder, arguments.patience()))?;
    let after = disk_bytes(&folder)?;
    let freed = quiet.disk_bytes_most.saturating_sub(after) as f64;
    let took = quiet.freed_after.unwrap_or_default().as_secs_f64();
    let garbage = (large / 4 * 3) as f64 * large_value as f64;
    table.add("files with all values, GB", full as f64 / GB);
    table.add("files at most, GB", quiet.disk_bytes_most as f64 / GB);
    table.add("files after the collection, GB", after as f64 / GB);
    table.add("garbage, GB", garbage / GB);
    table.add("freed after the last write, GB", freed / GB);
    table.add("the last of it after, min", took / 60.0);
    table.add("freed, GB/s", freed / GB / took.max(0.001));
    table.add("written meanwhile, GB", (node.written_bytes()? - before) as f64 / GB);
    table.latencies("gets while files are collected", &gets);
    table.add("RSS at the end, MiB", node.resident_mib()?);
    table.add("peak RSS, MiB", node.peak_mib()?.unwrap_or_default());
    Ok(())
}

/// Overwrites three of four large documents, and small ones until nobody may need the old values.
fn overwrite(
    arguments: &Arguments,
    node: &Server,
    documents: Documents,
    small: u64,
) -> io::Result<()> {
    let all = arguments.large;
    for quarter in [0, 1, 2] {
        // Of each 4,096 documents other ones, so that no file is left as it was.
        documents.store_where(node, BUCKET, 0..all, |n| (n / 1024) % 4 == quarter)?;
    }
    let mut left = CHANGES * u64::from(VBUCKETS);
    while left > 0 && small > 0 {
        let some = left.min(small);
        arguments.small().store(node, BUCKET, 0..some)?;
        left -= some;
    }
    Ok(())
}
