//! What follows from silence: nodes that are unresponsive, and links that are restarted because a
//! connection is dead.
//!
//! A link to an unresponsive node is kept: a new connection to that node would hang too, and a node
//! that was only paused goes on where it was. Once the node answers elsewhere and the link stays
//! silent, a restart helps.

use std::time::Duration;

use mcbp::Side;

use super::effect::{BucketEffect, BucketEffects};
use super::event::{LinkId, millis};
use super::link::Link;
use super::machine::BucketMachine;
use super::nodes::Nodes;
use super::settings::Settings;
use crate::liveness::{Liveness, Quiet};
use crate::stall::Sample;

/// What the silence of both nodes of a link says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hearing {
    /// Both nodes were heard lately, or are not polled.
    Heard,
    /// A node was not heard lately on any connection. No fault of this link is known.
    Unheard,
    /// The connection of this side is dead, for so long.
    Dead(Side, Duration),
}

impl Hearing {
    /// Returns what the silence of a link says. `quiet` is the silence on its connections.
    pub(super) fn of(
        nodes: &Nodes,
        link: &Link,
        quiet: &Quiet,
        settings: &Settings,
        now: Duration,
    ) -> Self {
        let of = |side| nodes.liveness(side, link.node(side, &settings.node));
        let (Some(producer), Some(consumer)) = (of(Side::Producer), of(Side::Consumer)) else {
            return Self::Heard;
        };
        let both = [producer, consumer];
        // Half the limit: a stall and an unresponsive node have the same limit, and a node that is
        // about to be unresponsive is no stall.
        if both.iter().any(|node| node.silent_for(now) > settings.stall / 2) {
            return Self::Unheard;
        }
        let responsive = both.iter().filter_map(|node| node.responsive_for(now)).min();
        match quiet.dead_side(settings.stall, responsive.unwrap_or_default()) {
            Some((side, silent)) => Self::Dead(side, silent),
            None => Self::Heard,
        }
    }
}

impl BucketMachine {
    /// Records how long nodes were silent on their links and which streams are not open, and judges
    /// the nodes.
    pub(super) fn listen(
        &mut self,
        samples: &[(LinkId, Sample)],
        now: Duration,
        fx: &mut BucketEffects,
    ) {
        for (id, sample) in samples {
            let Some(link) = self.links.live(*id) else { continue };
            fx.extend(self.nodes.heard_on(link, &sample.quiet, &self.settings, now));
        }
        fx.extend(self.nodes.judge(&self.settings, now));
        let wanted = self
            .links
            .iter()
            .flat_map(|link| link.wanted.streams().keys().map(|&vb| (vb, link.wanted.is_open(vb))));
        self.outages.observe(wanted, now);
    }

    /// Starts all clocks of silence, of stalls and of the queue anew: this process did not run for
    /// `pause`, and what arrived meanwhile is not read yet.
    pub(super) fn resumed(&mut self, pause: Duration, now: Duration, fx: &mut BucketEffects) {
        self.nodes.resumed(now);
        self.links.iter_mut().for_each(|link| link.resumed(now));
        self.queue.extend_for_progress(&self.settings, now);
        let (bucket, pause_ms) = (&self.settings.bucket, millis(pause));
        fx.push(BucketEffect::warn(format!(
            "this process did not run, silence counts anew bucket={bucket} pause_ms={pause_ms}"
        )));
    }

    /// Whether a node of this link is unresponsive.
    pub(super) fn is_unresponsive(&self, link: &Link) -> bool {
        let of = |side| self.nodes.liveness(side, link.node(side, &self.settings.node));
        [Side::Producer, Side::Consumer].into_iter().filter_map(of).any(Liveness::is_unresponsive)
    }
}
