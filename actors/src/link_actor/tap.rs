//! Hands the control frames of one direction to the actor of its side, and waits for the verdict.
//! What needs no verdict of the rules is decided here: flow control, the producer's NOOPs, and what
//! a consumer says once more of a stream that it has refused.

use std::collections::HashSet;
use std::sync::Arc;

use actix::{Message, Recipient};
use bytes::Bytes;
use mcbp::scan::ControlSet;
use mcbp::{Frame, FrameError, Header, Opaque, Side};
use relay::{Judge, Verdict};
use replica::link::{ControlFrame, is_barrier};

use super::flow::Flow;

/// Streams whose refusal is remembered. A consumer refuses each row that is still on its way, and
/// one actor message for each would hold up the link. Several attempts of every vBucket fit.
const REFUSED_MAX: usize = 4096;

/// A control frame that waits for its verdict.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Tapped(pub(crate) Bytes);

/// The judge of one direction.
pub(crate) struct Tap {
    control: &'static ControlSet,
    actor: Recipient<Tapped>,
    consumer: Option<OfConsumer>,
}

/// What the judge of the consumer's direction knows.
struct OfConsumer {
    flow: Arc<Flow>,
    /// Streams of which a refusal was brought to the rules, by their opaques.
    refused: HashSet<Opaque>,
}

impl Tap {
    /// A judge that lets `actor` decide on what is in `control`.
    pub(crate) const fn new(control: &'static ControlSet, actor: Recipient<Tapped>) -> Self {
        Self { control, actor, consumer: None }
    }

    /// The judge of what a consumer says. Frames about flow control are noted in `flow`.
    pub(crate) fn of_consumer(
        control: &'static ControlSet,
        actor: Recipient<Tapped>,
        flow: Arc<Flow>,
    ) -> Self {
        let consumer = Some(OfConsumer { flow, refused: HashSet::new() });
        Self { consumer, ..Self::new(control, actor) }
    }
}

impl OfConsumer {
    /// What is decided without the rules.
    fn decides(&mut self, frame: &[u8]) -> Option<Verdict> {
        let header = Header::peek(frame).ok()??;
        if Flow::concerns(&header) {
            self.flow.saw(frame);
            return Some(Verdict::Forward);
        }
        match decode(Side::Consumer, frame) {
            Ok(Some(ControlFrame::NoopResponse { opaque })) if !is_barrier(opaque) => {
                Some(Verdict::Forward)
            }
            Ok(Some(ControlFrame::DataRefused { opaque, .. }))
                if self.refused.contains(&opaque) =>
            {
                Some(Verdict::Withhold)
            }
            Ok(None) => Some(Verdict::Forward),
            Ok(Some(_)) | Err(_) => None,
        }
    }

    /// The rules have decided on a frame.
    fn decided(&mut self, frame: &[u8], verdict: Verdict) {
        if let Ok(Some(ControlFrame::DataRefused { opaque, .. })) = decode(Side::Consumer, frame)
            && verdict == Verdict::Withhold
        {
            if self.refused.len() == REFUSED_MAX {
                self.refused.clear();
            }
            self.refused.insert(opaque);
        }
    }
}

impl Judge for Tap {
    fn control(&self) -> &ControlSet {
        self.control
    }

    async fn judge(&mut self, frame: Bytes) -> Verdict {
        if let Some(verdict) = self.consumer.as_mut().and_then(|tap| tap.decides(&frame)) {
            return verdict;
        }
        // An actor that is gone has ended the link: nothing may pass without its verdict.
        let verdict = self.actor.send(Tapped(frame.clone())).await.unwrap_or(Verdict::Stop);
        if let Some(consumer) = &mut self.consumer {
            consumer.decided(&frame, verdict);
        }
        verdict
    }
}

/// What a control frame from `side` says to the consumer machine.
pub(crate) fn decode(side: Side, frame: &[u8]) -> Result<Option<ControlFrame>, FrameError> {
    ControlFrame::decode(side, &Frame::parse(frame)?)
}
