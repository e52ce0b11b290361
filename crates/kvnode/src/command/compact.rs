//! COMPACT_DB: drops old deletions of a vBucket. Their space is freed in the background.

use mcbp::{Seqno, Status};
use vbucket::store::PurgeRule;

use crate::bucket::Bucket;
use crate::client::Client;
use crate::protocol::{Request, RequestError, any_vb};

/// Answers once the deletions are dropped.
pub(super) async fn compact(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    request.without_cas()?;
    let rule = rule(request.frame.extras)?;
    let vb = any_vb(bucket, request.vb())?;
    vb.purge(rule).await?;
    client.replies.send(&request.success());
    Ok(())
}

/// purge before time 8, purge before seqno 8 (0 for any), drop all deletions 1, padding 7. Source:
/// `docs/BinaryProtocol.md` of couchbase/kv_engine.
fn rule(extras: &[u8]) -> Result<PurgeRule, RequestError> {
    let (&[before, seqno, [drop_all, ..]], []) = extras.as_chunks::<8>() else {
        return Err(RequestError::new(Status::EINVAL, "extras must be 24 bytes"));
    };
    let before = u32::try_from(u64::from_be_bytes(before)).unwrap_or(PurgeRule::ANY_AGE);
    match drop_all {
        0 => {
            let up_to = match u64::from_be_bytes(seqno) {
                0 => Seqno::MAX,
                seqno => Seqno(seqno),
            };
            Ok(PurgeRule { made_before: before, up_to })
        }
        1 => Ok(PurgeRule { made_before: PurgeRule::ANY_AGE, up_to: Seqno::MAX }),
        _ => Err(RequestError::new(Status::EINVAL, "drop_deletes must be 0 or 1")),
    }
}
