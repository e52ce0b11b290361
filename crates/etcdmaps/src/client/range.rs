//! Reads all keys under a prefix at one revision, in pages.

use etcd_client::{Client, GetOptions, KvClient};

use crate::changes::{Present, Stored};

/// Keys of a page. A value has at most 1.5 MiB where somebody wrote nonsense.
const PAGE: i64 = 16;
/// The largest answer: a page of nonsense.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What was read.
pub(super) enum Range {
    /// Everything.
    All(Present),
    /// There are more keys than are allowed.
    TooMany,
}

/// Reads at most `max` keys under `prefix`, which ends with a slash.
pub(super) async fn read(
    client: &Client,
    prefix: &str,
    max: usize,
) -> Result<Range, etcd_client::Error> {
    let mut kv = client.kv_client().max_decoding_message_size(ANSWER_BYTES_MAX);
    let mut present = Present::default();
    let mut from = prefix.as_bytes().to_vec();
    while page(&mut kv, prefix, &mut from, &mut present).await? {
        if present.stored.len() > max {
            return Ok(Range::TooMany);
        }
    }
    Ok(if present.stored.len() > max { Range::TooMany } else { Range::All(present) })
}

/// Reads a page and returns whether there are more.
async fn page(
    kv: &mut KvClient,
    prefix: &str,
    from: &mut Vec<u8>,
    present: &mut Present,
) -> Result<bool, etcd_client::Error> {
    // 0 is the newest revision, which the first page names.
    let options =
        GetOptions::new().with_range(end(prefix)).with_limit(PAGE).with_revision(present.revision);
    let mut answer = kv.get(from.clone(), Some(options)).await?;
    if present.revision == 0 {
        present.revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    }
    let more = answer.more();
    let pairs = answer.take_kvs();
    let is_last = !more || pairs.is_empty();
    for pair in pairs {
        let revision = pair.mod_revision();
        let (key, value) = pair.into_key_value();
        *from = [key.as_slice(), b"\0"].concat();
        present.stored.insert(key, Stored { value, revision });
    }
    Ok(!is_last)
}

/// What follows all keys that begin with `prefix`: `0` comes after the slash at its end.
pub(super) fn end(prefix: &str) -> String {
    format!("{}0", prefix.trim_end_matches('/'))
}
