//! Waits until a producer has little more to send of a vBucket, by asking it again and again.
//!
//! On a connection of its own: a question on a DCP connection would wait behind data.

use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use mcbp::VbId;
use relay::{Client, LinkError, Login, Side};
use replica::estimate::Estimate;

use crate::error::{LinkDown, VbFailure};
use crate::link::LinkSpec;

/// How long to wait before the producer is asked again; as long as Couchbase's cluster manager.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Changes that a producer still has to send of the vBucket that is being moved.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Estimated(pub(crate) u64);

/// What to ask for, and who is told meanwhile.
pub(crate) struct Copying {
    pub(crate) spec: Arc<LinkSpec>,
    pub(crate) vb: VbId,
    pub(crate) told: Recipient<Estimated>,
}

impl Copying {
    /// Comes back once little is missing. The caller brings the deadline.
    pub(crate) async fn wait(self) -> Result<(), VbFailure> {
        let mut client = self.connect().await.map_err(|error| self.failed(&error))?;
        let group = Estimate::group(self.vb, &self.spec.name);
        loop {
            let stats = client.stats(&group).await.map_err(|error| self.failed(&error))?;
            let (bucket, producer) = (&self.spec.bucket, &self.spec.producer.name);
            let estimate = Estimate::of(self.vb, &stats)
                .map_err(|error| VbFailure::of_estimate(bucket, producer, self.vb, &error))?;
            match estimate {
                Estimate::Near { remaining } => {
                    self.told.do_send(Estimated(remaining));
                    return Ok(());
                }
                Estimate::Far { remaining } => self.told.do_send(Estimated(remaining)),
                Estimate::Counting => {}
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn connect(&self) -> Result<Client, LinkError> {
        let login = Login {
            bucket: Some(&self.spec.bucket),
            agent: &replica::names::agent_name(Side::Producer, &self.spec.name),
            features: &[],
            deadlines: self.spec.limits.handshake,
        };
        Client::connect(&self.spec.producer, login).await
    }

    fn failed(&self, error: &LinkError) -> VbFailure {
        let (bucket, producer) = (&self.spec.bucket, &self.spec.producer.name);
        VbFailure::of_link(bucket, producer, self.vb, &LinkDown::of(error))
    }
}
