//! Decides whether replication is set up. Pure: statuses in, reasons out.

use dcp_actors::{BucketStatus, LinkStatus, StreamPhase};

/// How many reasons are given; the first ones are enough to see what is wrong.
const REASONS_MAX: usize = 5;

/// Why the sidecar is not ready; empty when it is. Every bucket of `expected` must have its
/// manager, and every wanted stream must be open or have failed with an error.
pub(super) fn missing(expected: &[String], buckets: &[BucketStatus]) -> Vec<String> {
    let absent = expected.iter().filter(|name| !buckets.iter().any(|b| b.bucket == **name));
    let absent = absent.map(|name| format!("bucket {name} has no manager"));
    let unsettled = buckets.iter().flat_map(|bucket| {
        bucket.links.iter().filter_map(|link| unsettled_link(&bucket.bucket, link))
    });
    absent.chain(unsettled).take(REASONS_MAX).collect()
}

fn unsettled_link(bucket: &str, link: &LinkStatus) -> Option<String> {
    if link.last_error.is_some() {
        return None;
    }
    let unsettled =
        link.streams.iter().filter(|s| s.phase != StreamPhase::Open && s.last_error.is_none());
    let mut vbs = unsettled.map(|stream| stream.vbucket);
    let first = vbs.next()?;
    let (count, LinkStatus { producer, connection, .. }) = (1 + vbs.count(), link);
    Some(format!(
        "bucket {bucket}, producer {producer}, connection {connection}: {count} streams are being \
         set up, the first: vb:{first}"
    ))
}
