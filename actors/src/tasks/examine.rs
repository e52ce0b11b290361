//! Asks both nodes for their copies of a vBucket whose takeover failed, and repairs them if an
//! interrupted takeover left none active.
//!
//! Uses connections of its own, because the link may be lost.

use std::time::Duration;

use actix::Recipient;
use futures::future::join;
use logline::value;
use mcbp::{Status, VbId, VbState};
use relay::{Client, Deadlines, Endpoint, LinkError, Login, Side};
use replica::bucket::{BucketEvent, CopyReports, Examine, ExamineAction, Finding, TaskId};
use replica::remedy::CopyReport;

use super::TaskReport;
use crate::link_actor::LinkSpec;

/// Frames that a lost link had delivered take effect within this time: a change of state is one
/// sync.
const SETTLE: Duration = Duration::from_secs(1);
/// The interval between requests.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Reports the finding. Bounded by the time limits of its few requests.
pub(crate) async fn examine(
    task: TaskId,
    spec: LinkSpec,
    examine: Examine,
    bucket: Recipient<TaskReport>,
) {
    let finding = find(&spec, &examine).await;
    bucket.do_send(TaskReport(BucketEvent::Examined(task, finding)));
}

async fn find(spec: &LinkSpec, examine: &Examine) -> Finding {
    let copies = ask(spec, examine).await;
    let (found, vb, bucket) = (examine.describe(&copies), examine.vb, &spec.bucket);
    log::info!("failed takeover examined bucket={bucket} vb={} found={}", vb.0, value(&found));
    let (side, finding) = match examine.judge(&copies) {
        ExamineAction::Report(finding) => return finding,
        ExamineAction::Activate(side, finding) => (side, finding),
    };
    let node = match side {
        Side::Consumer => &spec.consumer,
        Side::Producer => &spec.producer,
    };
    match activate(spec, node, examine).await {
        Ok(()) => {
            log::warn!(
                "activated vBucket orphaned by an interrupted takeover bucket={bucket} vb={} \
                 node={} found={}",
                vb.0,
                node.name,
                value(&found)
            );
            finding
        }
        Err(error) => examine.not_moved(&copies, Some(error.to_string())),
    }
}

/// Asks both nodes, and repeats that for a while if the copies may still change.
async fn ask(spec: &LinkSpec, examine: &Examine) -> CopyReports {
    let (vb, most, begun) = (examine.vb, examine.answer_max, tokio::time::Instant::now());
    let (mut from, mut to) =
        join(connect(spec, &spec.producer, most), connect(spec, &spec.consumer, most)).await;
    loop {
        let (producer, consumer) = join(copy_report(&mut from, vb), copy_report(&mut to, vb)).await;
        let copies = CopyReports { producer, consumer };
        if !examine.may_change(&copies) || begun.elapsed() >= SETTLE {
            return copies;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn activate(spec: &LinkSpec, node: &Endpoint, examine: &Examine) -> Result<(), LinkError> {
    let mut client = connect(spec, node, examine.answer_max).await?;
    client.set_vbucket(examine.vb, VbState::Active).await
}

async fn connect(spec: &LinkSpec, node: &Endpoint, most: Duration) -> Result<Client, LinkError> {
    let Deadlines { connect, request } = spec.limits.handshake;
    let login = Login {
        bucket: Some(&spec.bucket),
        agent: "dcp-proxy:takeover",
        features: &[],
        deadlines: Deadlines { connect: connect.min(most), request: request.min(most) },
    };
    Client::connect(node, login).await
}

/// Returns the copy of a node. An error is not reported: the link of the takeover reports it.
async fn copy_report(client: &mut Result<Client, LinkError>, vb: VbId) -> CopyReport {
    let Ok(connected) = client else { return CopyReport::Unknown };
    match connected.stats(&CopyReport::group(vb)).await {
        Ok(stats) => CopyReport::of(vb, &stats),
        Err(error) if error.status() == Some(Status::NOT_MY_VBUCKET) => CopyReport::Absent,
        Err(error) => {
            *client = Err(error);
            CopyReport::Unknown
        }
    }
}
