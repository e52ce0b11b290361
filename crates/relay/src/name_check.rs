//! Whether a node has an open DCP connection of a name, by its own list of connections.

use mcbp::{FrameBuilder, Opcode, Status};

use crate::exchange::Exchange;
use crate::{ConnectionStep, Fault};

/// The statistics of all DCP connections of the bucket.
pub(crate) const GROUP: &[u8] = b"dcp";
/// Leaves out the statistics of single streams, where the node knows this option.
pub(crate) const WITHOUT_STREAMS: &[u8] = br#"{"stream_format":"skip"}"#;

/// Returns whether the node lists an open connection named `name`; false where it does not list its
/// connections. Keeps nothing of the answer.
///
/// # Errors
/// The connection was lost, or the whole answer did not come within the deadline of a request.
pub(crate) async fn is_taken(exchange: &mut Exchange, name: &str) -> Result<bool, Fault> {
    let step = ConnectionStep::Request(Opcode::STAT);
    let opaque = exchange.next_opaque();
    let request = FrameBuilder::request(Opcode::STAT).opaque(opaque);
    let request = request.key(GROUP).value(WITHOUT_STREAMS).build();
    let prefix = format!("eq_dcpq:{name}:");
    exchange
        .within(step, async |exchange| {
            exchange.send(&request, step).await?;
            let (mut is_listed, mut is_ending, mut is_live) = (false, false, false);
            loop {
                let response = exchange.response(step, opaque).await?;
                if response.status != Status::SUCCESS || response.key.is_empty() {
                    return Ok(is_listed && (is_live || !is_ending));
                }
                let Some(field) = response.key.strip_prefix(prefix.as_bytes()) else { continue };
                is_listed = true;
                if field == b"pending_disconnect" {
                    // A displaced connection is listed beside the one that displaced it.
                    let is_true = &*response.value == b"true";
                    (is_ending, is_live) = (is_ending || is_true, is_live || !is_true);
                }
            }
        })
        .await
}
