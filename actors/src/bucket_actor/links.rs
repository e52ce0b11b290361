//! The links of a bucket that are open, or being opened: where their actors are, and what can be
//! read of them.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context};
use replica::bucket::{BucketEvent, LinkDown, LinkId, LinkReport};
use replica::plan::LinkKey;

use tokio::time::Instant;

use super::BucketActor;
use crate::link_actor::{FromLink, Gauges, LinkSpec, NameUse, Replicator};
use crate::timings::Running;

/// A link whose connections are open, or being opened.
pub(super) struct OpenLink {
    pub(super) id: LinkId,
    pub(super) spec: Arc<LinkSpec>,
    pub(super) addr: Addr<Replicator>,
    /// Set once both connections are open.
    pub(super) gauges: Option<Gauges>,
    pub(super) key: LinkKey,
    pub(super) since: Instant,
    /// The command that it runs, if that is timed.
    pub(super) running: Option<Running>,
}

impl BucketActor {
    pub(super) fn link(&self, id: LinkId) -> Option<&OpenLink> {
        self.links.get(&id.index).filter(|link| link.id == id)
    }

    pub(super) fn connect(
        &mut self,
        id: LinkId,
        key: &LinkKey,
        name: NameUse,
        ctx: &mut Context<Self>,
    ) {
        let spec = match self.spec(key) {
            Ok(spec) => spec,
            Err(down) => {
                let report = LinkReport::Down(down);
                return ctx.notify(FromLink { id, report, gauges: None });
            }
        };
        let spec = Arc::new(spec);
        let (own, bucket) = (Arc::clone(&spec), ctx.address().recipient());
        let make = move |_: &mut Context<Replicator>| Replicator::new(id, own, name, bucket);
        let addr = match self.arbiters.get(id.index % self.arbiters.len().max(1)) {
            Some(arbiter) => Replicator::start_in_arbiter(arbiter, make),
            None => Replicator::create(make),
        };
        let (key, since) = (key.clone(), Instant::now());
        let link = OpenLink { id, spec, addr, gauges: None, key, since, running: None };
        self.links.insert(id.index, link);
    }

    /// Forgets a link whose connections are closed, or about to be.
    pub(super) fn forget(&mut self, id: LinkId) -> Option<OpenLink> {
        let link = self.links.remove(&id.index)?;
        self.traffic.closed(link.key.clone(), link.gauges.as_ref());
        Some(link)
    }

    /// Times what a link reports.
    pub(super) fn time(&mut self, id: LinkId, report: &LinkReport) {
        let Some(link) = self.links.get_mut(&id.index).filter(|link| link.id == id) else { return };
        match report {
            LinkReport::Up => self.timings.link_setup.observe(link.since.elapsed()),
            LinkReport::Answered(..) => {
                if let Some(running) = link.running.take() {
                    running.answered(&self.timings);
                }
            }
            _ => {}
        }
    }

    pub(super) fn spec(&self, key: &LinkKey) -> Result<LinkSpec, LinkDown> {
        let missing = || {
            let broken = invariant::broken!("{key:?}, whose producer is not configured");
            LinkDown::internal(broken.to_string())
        };
        let producer = self.producers.get(&key.producer).ok_or_else(missing)?;
        let (bucket, number) = (&self.bucket, key.connection);
        let (recorders, timings) = (&self.recorders, &self.timings);
        Ok(LinkSpec::new(bucket, &self.node, producer, number, &self.limits, recorders, timings))
    }

    pub(super) fn sample(&mut self, ctx: &mut Context<Self>) {
        self.note_heard();
        let samples = self.links.values().filter_map(|link| {
            let gauges = link.gauges.as_ref()?;
            Some((link.id, gauges.sample()))
        });
        let samples = samples.collect();
        self.event(BucketEvent::Sampled(samples), ctx);
    }

    /// Records when both nodes of each link last sent anything on it.
    pub(super) fn note_heard(&mut self) {
        let now = self.now();
        for link in self.links.values() {
            let Some(gauges) = &link.gauges else { continue };
            let at = |silent: Duration| now.saturating_sub(silent);
            self.traffic.heard(&link.spec.producer.name, at(gauges.producer_silent()));
            self.traffic.heard(&self.node.name, at(gauges.consumer_silent()));
        }
    }
}
