//! Converts an error of a connection into the [`LinkDown`] of the bucket.

use relay::{ConnectionStep, Fault, LinkError};
use replica::bucket::{LinkDown, Reopen};
use replica::link::{NodeAnswer, ReasonCode};

/// Returns the `LinkDown` for a connection that could not be opened, or was lost.
pub(crate) fn link_down(error: &LinkError) -> LinkDown {
    LinkDown {
        side: error.side(),
        code: match &error.fault {
            Fault::WriteStalled { .. } => ReasonCode::Stalled,
            Fault::Rival { .. } => ReasonCode::Rival,
            _ if error.status().is_some() => ReasonCode::Refused,
            _ => ReasonCode::LinkLost,
        },
        answer: error.status().map(NodeAnswer::Status),
        detail: error.to_string(),
        reopen: match error.retry() {
            _ if matches!(error.fault, Fault::Rival { .. }) => Reopen::Rival,
            relay::Reconnect::Soon => Reopen::Soon,
            // The sidecar opens the link again, whatever stopped its pump.
            relay::Reconnect::AfterBackoff | relay::Reconnect::Never => Reopen::AfterBackoff,
            relay::Reconnect::Slowly => Reopen::Slowly,
        },
        hung_up: matches!(error.fault, Fault::Closed { step: ConnectionStep::Relay, .. }),
    }
}
