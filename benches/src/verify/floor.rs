//! The floor: both nodes are read by as many connections as the comparison has, and the rows are
//! dropped.

use std::time::{Duration, Instant};

use mcbp::dcp::stream_flags;
use mcbp::{Seqno, VbId};
use relay::{DcpReader, Endpoint, ReaderOptions, StreamEvent, StreamRange};
use tokio::task::JoinSet;

use crate::Fallible;
use crate::nodes::{BUCKET, Nodes, VBUCKETS};

/// Connections to each node, as many as the comparison has.
const LANES: u16 = 4;

/// Returns how many rows there were, and how long it took.
pub(crate) async fn read(nodes: &Nodes) -> Fallible<(u64, Duration)> {
    let began = Instant::now();
    let mut lanes = JoinSet::new();
    for node in 0..nodes.addresses.len() {
        for lane in 0..LANES {
            lanes.spawn(read_lane(nodes.endpoint(node)?, lane));
        }
    }
    let mut rows = 0;
    while let Some(lane) = lanes.join_next().await {
        rows += lane??;
    }
    Ok((rows, began.elapsed()))
}

async fn read_lane(endpoint: Endpoint, lane: u16) -> Fallible<u64> {
    let name = format!("verify-bench:{lane}");
    let mut reader = DcpReader::open(&endpoint, ReaderOptions::new(BUCKET, &name)).await?;
    let (mut rows, mut events) = (0, Vec::new());
    for vb in (lane..VBUCKETS).step_by(usize::from(LANES)).map(VbId) {
        let flags = stream_flags::DISK_ONLY;
        reader.stream(StreamRange { flags, ..StreamRange::all(vb, Seqno::MAX) });
        while reader.next_events(&mut events).await? {
            let is_row = |event: &StreamEvent| matches!(event, StreamEvent::Change { .. });
            rows += events.drain(..).filter(is_row).count() as u64;
        }
    }
    Ok(rows)
}
