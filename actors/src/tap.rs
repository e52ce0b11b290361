//! Hands the control frames of one direction to the actor of its side, and waits for the verdict.

use actix::{Message, Recipient};
use bytes::Bytes;
use mcbp::Header;
use mcbp::scan::Class;
use relay::{Judge, Verdict};

/// A control frame that waits for its verdict.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(crate) struct Tapped(pub(crate) Bytes);

/// The judge of one direction.
pub(crate) struct Tap {
    class: fn(&Header) -> Class,
    actor: Recipient<Tapped>,
}

impl Tap {
    /// A judge that lets `actor` decide on what `class` calls a control frame.
    pub(crate) const fn new(class: fn(&Header) -> Class, actor: Recipient<Tapped>) -> Self {
        Self { class, actor }
    }
}

impl Judge for Tap {
    fn class(&self, header: &Header) -> Class {
        (self.class)(header)
    }

    async fn judge(&mut self, frame: Bytes) -> Verdict {
        // An actor that is gone has ended the link: nothing may pass without its verdict.
        self.actor.send(Tapped(frame)).await.unwrap_or(Verdict::Stop)
    }
}
