//! Passes the control frames of one direction to the actor of its side, and waits for the verdict.
//! Frames about flow control are recorded as they pass.

use std::sync::Arc;

use actix::{Message, Recipient};
use bytes::Bytes;
use mcbp::scan::ControlSet;
use mcbp::{Frame, FrameError, Header, Side};
use relay::{Judge, Verdict};
use replica::link::{self, ControlFrame, RepeatFilter};

use super::flow::Flow;

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

/// The state of the judge of the consumer's direction.
struct OfConsumer {
    flow: Arc<Flow>,
    repeats: RepeatFilter,
}

impl Tap {
    /// Returns a judge that asks `actor` for the verdict on frames in `control`.
    pub(crate) const fn new(control: &'static ControlSet, actor: Recipient<Tapped>) -> Self {
        Self { control, actor, consumer: None }
    }

    /// Returns the judge of a consumer's frames. Frames about flow control are recorded in `flow`.
    pub(crate) fn of_consumer(
        control: &'static ControlSet,
        actor: Recipient<Tapped>,
        flow: Arc<Flow>,
    ) -> Self {
        let consumer = Some(OfConsumer { flow, repeats: RepeatFilter::default() });
        Self { consumer, ..Self::new(control, actor) }
    }
}

impl OfConsumer {
    /// Returns the verdict on a frame that the actor need not see.
    fn verdict(&mut self, frame: &[u8]) -> Option<Verdict> {
        let header = Header::peek(frame).ok()??;
        if Flow::concerns(&header) {
            self.flow.saw(frame);
            return Some(Verdict::Forward);
        }
        match decode(Side::Consumer, frame) {
            Ok(Some(control)) => self.repeats.verdict(control).map(to_pump),
            Ok(None) => Some(Verdict::Forward),
            // The actor reports the error.
            Err(_) => None,
        }
    }

    /// Records the verdict of the actor.
    fn record(&mut self, frame: &[u8], verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Forward => link::Verdict::Forward,
            Verdict::Withhold => link::Verdict::Withhold,
            Verdict::Stop => return,
        };
        if let Ok(Some(control)) = decode(Side::Consumer, frame) {
            self.repeats.record(control, verdict);
        }
    }
}

/// Converts a verdict of the machine for the pump.
pub(super) const fn to_pump(verdict: link::Verdict) -> Verdict {
    match verdict {
        link::Verdict::Forward => Verdict::Forward,
        link::Verdict::Withhold => Verdict::Withhold,
    }
}

impl Judge for Tap {
    fn control(&self) -> &ControlSet {
        self.control
    }

    async fn judge(&mut self, frame: Bytes) -> Verdict {
        if let Some(verdict) = self.consumer.as_mut().and_then(|tap| tap.verdict(&frame)) {
            return verdict;
        }
        // Without its actor the link is over: no frame may pass without a verdict.
        let verdict = self.actor.send(Tapped(frame.clone())).await.unwrap_or(Verdict::Stop);
        if let Some(consumer) = &mut self.consumer {
            consumer.record(&frame, verdict);
        }
        verdict
    }
}

/// Decodes a control frame from `side` for the machine.
pub(crate) fn decode(side: Side, frame: &[u8]) -> Result<Option<ControlFrame>, FrameError> {
    ControlFrame::decode(side, &Frame::parse(frame)?)
}
