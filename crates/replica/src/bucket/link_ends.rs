//! What follows from the end of a link: its delay, its counts and its log line; and from success
//! that lasts.

use std::time::Duration;

use logline::value;

use super::effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
use super::event::{LinkId, Moment};
use super::fall::AT_ONCE;
use super::link_down::LinkDown;
use super::link_state::LinkState;
use super::machine::BucketMachine;
use crate::loops::Notice;

impl BucketMachine {
    /// Handles the end of a link. Unless it was closed on purpose, it is opened again after a
    /// delay.
    pub(super) fn link_down(
        &mut self,
        id: LinkId,
        mut down: LinkDown,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        self.forget_lasting(id, at.now, fx);
        let Some(link) = self.links.live(id) else { return };
        // Whether their producer is there when the link is opened again, nobody knows.
        link.wanted.streams().keys().for_each(|&vb| self.copies.give_up_renewal(vb));
        if link.state == LinkState::Closing {
            fx.push(BucketEffect::info(format!("link closed link={}", link.name)));
            link.forget_streams();
            link.state = LinkState::Idle;
            return;
        }
        let (settings, earlier) = (&self.settings, link.streak.total());
        let (lived, in_loop) = link.fall.ended(&mut down, earlier, settings, at.now);
        let loops = &mut self.failures.link_loops;
        let notice = loops.failed(id.index, in_loop, &down.detail, at.now);
        let mut delay = link.streak.failed(down.reopen, &settings.backoff, at.chance);
        if loops.broken(id.index, at.now).is_some() {
            delay = settings.backoff.delay(u32::MAX, at.chance);
        }
        let has_lived = lived.is_some_and(|lived| lived >= AT_ONCE);
        if let Some(line) =
            down_line(&link.name, link.streak.total(), &down, delay, notice, has_lived)
        {
            link.fall.told_down();
            fx.push(BucketEffect::Log(line));
        }
        let answer = down.answer.clone();
        self.failures.links.count(&link.key.producer, down.side, down.code, answer);
        link.mark_down(down, at.now + delay);
    }

    /// Forgets the failures of a link, and of its streams, that have worked for long enough.
    pub(super) fn forget_lasting(&mut self, id: LinkId, now: Duration, fx: &mut BucketEffects) {
        let backoff = self.settings.backoff;
        let Some(link) = self.links.live(id) else { return };
        link.wanted.forget_lasting(now, |failures| backoff.lasting(failures));
        let Some(failures) = link.streak.forget_lasting(&backoff, now) else { return };
        self.failures.link_loops.reset(id.index);
        if link.fall.works_again() {
            let text = format!("link works again link={} failures={failures}", link.name);
            fx.push(BucketEffect::info(text));
        }
    }
}

/// Returns the log line of an end, if it is to be logged: one that worked for a while always.
fn down_line(
    name: &str,
    times: u32,
    down: &LinkDown,
    delay: Duration,
    notice: Notice,
    has_lived: bool,
) -> Option<LogLine> {
    let (retry_ms, reason) = (delay.as_millis(), value(&down.detail));
    let line = |level, event: &str, more: &str| {
        let text =
            format!("{event} link={name} times={times} retry_ms={retry_ms}{more} reason={reason}");
        LogLine { level, text }
    };
    match notice {
        Notice::Tripped(kind) => {
            let kind = format!(" kind={kind}");
            Some(line(LogLevel::Error, "link in retry loop", &kind))
        }
        Notice::Suppress if !has_lived => None,
        Notice::Log(_) | Notice::Suppress => Some(line(LogLevel::Warn, "link down", "")),
    }
}
