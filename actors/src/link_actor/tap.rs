//! Passes the control frames of one direction to the actor of its side, and waits for the verdict.
//! Frames that only concern counters are recorded as they pass.

use actix::{Message, Recipient};
use bytes::Bytes;
use mcbp::scan::ControlSet;
use mcbp::{Frame, FrameError, Side};
use relay::{Judge, Verdict};
use replica::link::{self, ControlFrame, RepeatFilter};

use super::gauges::Gauges;

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
    gauges: Gauges,
    repeats: RepeatFilter,
}

impl Tap {
    /// Returns a judge that asks `actor` for the verdict on frames in `control`.
    pub(crate) const fn new(control: &'static ControlSet, actor: Recipient<Tapped>) -> Self {
        Self { control, actor, consumer: None }
    }

    /// Returns the judge of a consumer's frames. Those that concern `gauges` are recorded there.
    pub(crate) fn of_consumer(
        control: &'static ControlSet,
        actor: Recipient<Tapped>,
        gauges: Gauges,
    ) -> Self {
        let consumer = Some(OfConsumer { gauges, repeats: RepeatFilter::default() });
        Self { consumer, ..Self::new(control, actor) }
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
        let Self { actor, consumer, .. } = self;
        // Without its actor the link is over: no frame may pass without a verdict.
        let ask = async |frame| actor.send(Tapped(frame)).await.unwrap_or(Verdict::Stop);
        let Some(OfConsumer { gauges, repeats }) = consumer else { return ask(frame).await };
        if gauges.saw(&frame) {
            return Verdict::Forward;
        }
        let control = match decode(Side::Consumer, &frame) {
            Ok(Some(control)) => control,
            Ok(None) => return Verdict::Forward,
            // The actor reports the error.
            Err(_) => return ask(frame).await,
        };
        if let Some(verdict) = repeats.verdict(control) {
            return to_pump(verdict);
        }
        let verdict = ask(frame).await;
        if verdict == Verdict::Withhold {
            repeats.record(control, link::Verdict::Withhold);
        }
        verdict
    }
}

/// Decodes a control frame from `side` for the machine.
pub(crate) fn decode(side: Side, frame: &[u8]) -> Result<Option<ControlFrame>, FrameError> {
    ControlFrame::decode(side, &Frame::parse(frame)?)
}
