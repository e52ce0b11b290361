//! The sub-document operations, opcodes 0xc5 to 0xd3: reads and changes of parts of a document, of
//! its extended attributes, and of both at once.
//!
//! What they do is decided by pure code:
//!
//! - `rules`: what each operation may carry; `decode`: a request, checked
//! - `document`: a stored value, inflated, attributes and body apart; `xattrs`: the attributes as
//!   JSON and back; `virtuals`: attributes that are computed; `macros`: values that are computed
//! - `find`: one lookup; `change`: all operations of a change
//! - `binary`: bytes within JSON; `crc32c`: the checksum of a body
//!
//! `lookup` and `mutation` read, write and answer. Paths and JSON are the business of the package
//! `subdoc`.

mod binary;
mod change;
mod crc32c;
mod decode;
mod document;
mod find;
mod lookup;
mod macros;
mod mutation;
mod rules;
mod virtuals;

use crate::bucket::Bucket;
use crate::client::Client;
use crate::protocol::{Request, RequestError};

/// Executes any of them.
pub(super) async fn execute(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let job = decode::Job::of(request, &client.features)?;
    if job.is_mutation {
        mutation::mutate(client, bucket, request, &job).await
    } else {
        lookup::look_up(client, bucket, request, &job).await
    }
}
