//! Polls a producer until it has few changes of a vBucket left to send.

use std::time::Duration;

use actix::Recipient;
use mcbp::VbId;
use relay::{Client, LinkError, Login, Side};
use replica::bucket::{BucketEvent, Cause, TaskId};
use replica::estimate::Estimate;

use super::TaskReport;
use crate::link_actor::{LinkSpec, link_down};

/// The interval of the polls, the same as in Couchbase's cluster manager.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Reports each estimate and the result. The bucket sets the deadline.
pub(crate) async fn estimate(
    task: TaskId,
    spec: LinkSpec,
    vb: VbId,
    bucket: Recipient<TaskReport>,
) {
    let report = |remaining| bucket.do_send(TaskReport(BucketEvent::Estimated(task, remaining)));
    let copied = copy(&spec, vb, report).await;
    bucket.do_send(TaskReport(BucketEvent::Copied(task, copied)));
}

async fn copy(spec: &LinkSpec, vb: VbId, report: impl Fn(u64)) -> Result<(), Cause> {
    let down = |error: LinkError| Cause::Link(link_down(&error));
    let mut client = connect(spec).await.map_err(down)?;
    let group = Estimate::group(vb, &spec.name);
    loop {
        let stats = client.stats(&group).await.map_err(down)?;
        match Estimate::of(vb, &stats).map_err(Cause::Estimate)? {
            Estimate::Near { remaining } => {
                report(remaining);
                return Ok(());
            }
            Estimate::Far { remaining } => report(remaining),
            Estimate::Counting => {}
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn connect(spec: &LinkSpec) -> Result<Client, LinkError> {
    let login = Login {
        bucket: Some(&spec.bucket),
        agent: &replica::names::agent_name(Side::Producer, &spec.name),
        features: &[],
        deadlines: spec.limits.handshake,
    };
    Client::connect(&spec.producer, login).await
}
