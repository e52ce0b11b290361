//! DCP: what becomes of a connection once it has sent DCP_OPEN.

use bytes::Bytes;
use mcbp::{Frame, FrameBuilder, Status, VbId};
use tokio::io::AsyncWriteExt as _;

use crate::bucket::Bucket;
use crate::session::DcpHandover;

/// The DCP connections of one bucket.
#[derive(Default)]
pub(crate) struct Registry {}

/// Serves a connection from its DCP_OPEN on to its end.
pub(crate) async fn serve(mut conn: DcpHandover) {
    let Ok(open) = Frame::parse(&conn.open) else { return };
    let answer: Bytes = FrameBuilder::response(open.opcode(), Status::NOT_SUPPORTED)
        .opaque(open.header.opaque)
        .build();
    let _gone = conn.stream.write_all(&answer).await;
}

/// The statistics group `dcp`: one line for each name and value.
pub(crate) fn stats(_bucket: &Bucket, _filter: &[u8], _line: &mut dyn FnMut(&str, &str)) {}

/// The statistics group `dcp-vbtakeover`, for a vBucket and the name of a connection.
pub(crate) fn takeover_stats(
    _bucket: &Bucket,
    _vb: VbId,
    _name: &str,
    _line: &mut dyn FnMut(&str, &str),
) {
}
