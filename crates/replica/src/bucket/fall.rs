//! How the incarnations of a link end: which failures follow, whether the link falls at once again
//! and again, and whether a rival of its connection name may be the cause.
//!
//! A node closes the older of two connections of one name, so a sidecar with a copied configuration
//! and this one would displace each other for ever. That looks like a node that closes an open
//! connection in an orderly way. After such an end the link is opened only if the nodes list no
//! connection of its name: this sidecar has none then, so that one in the list is a rival's.

use std::time::Duration;

use super::link_down::LinkDown;
use super::settings::Settings;
use crate::link::{ErrorAnswer, ReasonCode};
use crate::loops::LoopKind;

/// A link that ends within this time has fallen at once. Longer than the first answers of a node
/// take, and short enough that a node that restarts now and then is in no loop.
pub(super) const AT_ONCE: Duration = Duration::from_secs(2);

/// An error answer may be the reason why the connection is closed so soon after it.
const EXPLAINS_FOR: Duration = Duration::from_secs(5);

/// The ends of the incarnations of one link.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Falls {
    /// When the present incarnation came up.
    up_since: Option<Duration>,
    /// Whether a rival may have closed the last incarnation.
    suspect: bool,
    /// Since when a rival has been seen at each attempt.
    rival_since: Option<Duration>,
    /// The last error answer of this incarnation.
    answer: Option<(ErrorAnswer, Duration)>,
    /// Whether the log says last that the link is down.
    down_is_told: bool,
    /// Whether the log says that the present incarnation is up.
    up_is_told: bool,
    /// Why the last incarnation ended, for the status of a link in a loop.
    pub(super) why: String,
}

impl Falls {
    /// Whether the link may be opened only if no node has another connection of its name.
    pub(super) const fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Forgets that a rival may have the name: the operator wants the link opened all the same.
    pub(super) const fn forget_rival(&mut self) {
        (self.suspect, self.rival_since) = (false, None);
    }

    /// Records that the link is up. Returns whether to log that: of a link that comes up and falls
    /// in turn, each logged end is followed by one line that it is up. A link in a loop has none
    /// before it has worked for long, so that its last line is no false comfort.
    pub(super) fn up(&mut self, failures: u32, in_loop: bool, now: Duration) -> bool {
        (self.up_since, self.suspect, self.rival_since) = (Some(now), false, None);
        self.up_is_told = failures == 0 || (self.down_is_told && !in_loop);
        self.down_is_told &= !self.up_is_told;
        self.up_is_told
    }

    /// Whether the log says that the present incarnation is up.
    pub(super) const fn is_told(&self) -> bool {
        self.up_is_told
    }

    /// Records that the log says that the link is down.
    pub(super) const fn told_down(&mut self) {
        self.down_is_told = true;
    }

    /// Records that the present incarnation has worked for long. Returns whether to log that,
    /// because the log does not say that it is up.
    pub(super) const fn works_again(&mut self) -> bool {
        self.down_is_told = false;
        !std::mem::replace(&mut self.up_is_told, true)
    }

    /// Records an error answer, which may explain the end of this incarnation.
    pub(super) const fn answered(&mut self, answer: ErrorAnswer, now: Duration) {
        self.answer = Some((answer, now));
    }

    /// Records the end of an incarnation, after `earlier` failures in a row, and adds to its reason
    /// what explains it. Returns the time that it was up, if it was, and the loop that it may
    /// belong to.
    pub(super) fn ended(
        &mut self,
        down: &mut LinkDown,
        earlier: u32,
        settings: &Settings,
        now: Duration,
    ) -> (Option<Duration>, Option<LoopKind>) {
        let lived = self.up_since.take().map(|since| now.saturating_sub(since));
        if let Some((answer, at)) = self.answer.take()
            && down.code == ReasonCode::LinkLost
            && now.saturating_sub(at) <= EXPLAINS_FOR
        {
            down.detail = format!("{}; before that, {answer}", down.detail);
        }
        self.why.clone_from(&down.detail);
        if down.code == ReasonCode::Rival {
            let since = *self.rival_since.get_or_insert(now);
            self.suspect = now.saturating_sub(since) < settings.rival_pause();
            return (lived, Some(LoopKind::Rival));
        }
        if lived.is_some() {
            // A single reset has many causes, and the node may not know of it yet.
            self.suspect = down.hung_up || (down.code == ReasonCode::LinkLost && earlier > 0);
        }
        let falls_at_once =
            down.code != ReasonCode::Stalled && lived.is_some_and(|lived| lived < AT_ONCE);
        (lived, falls_at_once.then_some(LoopKind::Flapping))
    }
}
