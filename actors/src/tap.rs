//! Hands the control frames of one direction to the actor of its side, and waits for the verdict.

use std::sync::Arc;

use actix::{Message, Recipient};
use bytes::Bytes;
use mcbp::scan::ControlSet;
use mcbp::{Frame, FrameError, Header, Side};
use relay::{Judge, Verdict};
use replica::machine::ControlFrame;

use crate::flow::Flow;

/// A control frame that waits for its verdict.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Tapped(pub(crate) Bytes);

/// The judge of one direction.
pub(crate) struct Tap {
    control: &'static ControlSet,
    actor: Recipient<Tapped>,
    flow: Option<Arc<Flow>>,
}

impl Tap {
    /// A judge that lets `actor` decide on what is in `control`.
    pub(crate) const fn new(control: &'static ControlSet, actor: Recipient<Tapped>) -> Self {
        Self { control, actor, flow: None }
    }

    /// Frames about flow control are noted in `flow` and not brought to the actor.
    pub(crate) fn with_flow(self, flow: Arc<Flow>) -> Self {
        Self { flow: Some(flow), ..self }
    }
}

impl Judge for Tap {
    fn control(&self) -> &ControlSet {
        self.control
    }

    async fn judge(&mut self, frame: Bytes) -> Verdict {
        if let Some(flow) = &self.flow
            && Header::peek(&frame).is_ok_and(|header| header.is_some_and(|h| Flow::concerns(&h)))
        {
            flow.saw(&frame);
            return Verdict::Forward;
        }
        // An actor that is gone has ended the link: nothing may pass without its verdict.
        self.actor.send(Tapped(frame)).await.unwrap_or(Verdict::Stop)
    }
}

/// What a control frame from `side` says to the consumer machine.
pub(crate) fn decode(side: Side, frame: &[u8]) -> Result<Option<ControlFrame>, FrameError> {
    ControlFrame::decode(side, &Frame::parse(frame)?)
}
