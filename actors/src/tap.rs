//! Hands the control frames of one direction to the actor of its side, and waits for the verdict.

use std::sync::Arc;

use actix::{Message, Recipient};
use bytes::Bytes;
use mcbp::Header;
use mcbp::scan::Class;
use relay::{Judge, Verdict};

use crate::flow::Flow;

/// A control frame that waits for its verdict.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Tapped(pub(crate) Bytes);

/// The judge of one direction.
pub(crate) struct Tap {
    class: fn(&Header) -> Class,
    actor: Recipient<Tapped>,
    flow: Option<Arc<Flow>>,
}

impl Tap {
    /// A judge that lets `actor` decide on what `class` calls a control frame.
    pub(crate) const fn new(class: fn(&Header) -> Class, actor: Recipient<Tapped>) -> Self {
        Self { class, actor, flow: None }
    }

    /// Frames about flow control are noted in `flow` and not brought to the actor.
    pub(crate) fn with_flow(self, flow: Arc<Flow>) -> Self {
        Self { flow: Some(flow), ..self }
    }
}

impl Judge for Tap {
    fn class(&self, header: &Header) -> Class {
        if self.flow.is_some() && Flow::concerns(header) {
            return Class::Control;
        }
        (self.class)(header)
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
