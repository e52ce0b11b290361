//! Waits until a producer has little more to send of a vBucket, by asking it again and again.

use std::time::Duration;

use actix::Recipient;
use mcbp::VbId;
use relay::{Client, LinkError, Login, Side};
use replica::bucket::{BucketEvent, Cause, TaskId};
use replica::estimate::Estimate;

use super::TaskReport;
use crate::link_actor::{LinkSpec, link_down};

/// How long to wait before the producer is asked again; as long as Couchbase's cluster manager.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Reports each estimate, and the end. The caller brings the deadline.
pub(crate) async fn estimate(
    task: TaskId,
    spec: LinkSpec,
    vb: VbId,
    bucket: Recipient<TaskReport>,
) {
    let told = |remaining| bucket.do_send(TaskReport(BucketEvent::Estimated(task, remaining)));
    let copied = copy(&spec, vb, told).await;
    bucket.do_send(TaskReport(BucketEvent::Copied(task, copied)));
}

async fn copy(spec: &LinkSpec, vb: VbId, told: impl Fn(u64)) -> Result<(), Cause> {
    let down = |error: LinkError| Cause::Link(link_down(&error));
    let mut client = connect(spec).await.map_err(down)?;
    let group = Estimate::group(vb, &spec.name);
    loop {
        let stats = client.stats(&group).await.map_err(down)?;
        match Estimate::of(vb, &stats).map_err(Cause::Estimate)? {
            Estimate::Near { remaining } => {
                told(remaining);
                return Ok(());
            }
            Estimate::Far { remaining } => told(remaining),
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
