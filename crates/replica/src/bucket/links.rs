//! The links of a bucket. The desired streams are assigned to links; missing links are created. A
//! link whose streams stay is not touched (MB-28525).

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::VbId;

use super::effect::{BucketEffect, BucketEffects};
use super::event::LinkId;
use super::link::Link;
use super::link_state::LinkState;
use super::settings::Settings;
use crate::link::{Command, Ticket};
use crate::names::connection_name;
use crate::plan::{LinkKey, Links as Shares};
use crate::wanted::Setup;

/// The table of links. A link keeps its index for the life of the bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Links {
    table: Vec<Link>,
    /// The link of the running takeover: it is kept open and gets no set-up.
    reserved: Option<usize>,
    commands: u64,
}

impl Links {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.table.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.table.iter_mut()
    }

    pub(super) const fn count(&self) -> usize {
        self.table.len()
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Link> {
        self.table.get_mut(index)
    }

    /// Returns the link, unless `id` names an older incarnation.
    pub(super) fn live(&mut self, id: LinkId) -> Option<&mut Link> {
        self.table.get_mut(id.index).filter(|link| link.id == id)
    }

    pub(super) fn of_key(&self, key: &LinkKey) -> Option<&Link> {
        self.table.iter().find(|link| link.key == *key)
    }

    pub(super) const fn is_reserved(&self, index: usize) -> bool {
        matches!(self.reserved, Some(reserved) if reserved == index)
    }

    /// Reserves the link of this key for a takeover, and ends its backoff.
    pub(super) fn reserve(&mut self, key: &LinkKey, settings: &Settings) {
        let index = self.place_of(key, settings);
        self.reserved = Some(index);
        if let Some(link) = self.table.get_mut(index) {
            link.open_now();
        }
    }

    /// Ends the reservation.
    pub(super) const fn release(&mut self) {
        self.reserved = None;
    }

    /// Assigns its wanted streams to every link.
    pub(super) fn spread(
        &mut self,
        mut shares: Shares,
        settings: &Settings,
        fx: &mut BucketEffects,
    ) {
        let nothing = BTreeSet::new();
        for link in &mut self.table {
            let share = shares.remove(&link.key);
            link.wanted.want(share.as_ref().unwrap_or(&nothing));
        }
        for (key, share) in shares {
            let index = self.place_of(&key, settings);
            if let Some(link) = self.table.get_mut(index) {
                link.wanted.want(&share);
            }
        }
        self.end_unwanted_rollbacks(fx);
    }

    /// Ends the links that have an unwanted rollback. A stream that rolls back cannot be closed
    /// alone, because the rollback would still run, and empty the vBucket under its next stream.
    /// The next link compares both nodes anew. The link of a takeover ends after it.
    fn end_unwanted_rollbacks(&mut self, fx: &mut BucketEffects) {
        let must_end = |link: &Link| {
            let wanted = link.wanted.streams();
            link.rolling.iter().any(|vb| !wanted.contains_key(vb))
        };
        for index in 0..self.table.len() {
            let is_up = |link: &&Link| matches!(link.state, LinkState::Up { .. });
            if !self.is_reserved(index) && self.table.get(index).filter(is_up).is_some_and(must_end)
            {
                self.close(index, fx);
            }
        }
    }

    /// Returns the index of the link of this key, and creates the link if it is missing.
    fn place_of(&mut self, key: &LinkKey, settings: &Settings) -> usize {
        if let Some(place) = self.table.iter().position(|link| link.key == *key) {
            return place;
        }
        let Settings { bucket, node, .. } = settings;
        let name = connection_name(&key.producer, node, bucket, key.connection);
        // A place of a producer that was removed is used again, so that the table stays small. Its
        // incarnations count on.
        let is_free = |link: &&mut Link| {
            !link.is_in_use() && !settings.producers.contains(&link.key.producer)
        };
        if let Some(link) = self.table.iter_mut().find(is_free) {
            let LinkId { index, incarnation } = link.id;
            *link = Link::new(index, key.clone(), name);
            link.id.incarnation = incarnation;
            return index;
        }
        let place = self.table.len();
        self.table.push(Link::new(place, key.clone(), name));
        place
    }

    /// Opens a new incarnation of a link.
    pub(super) fn connect(&mut self, index: usize, fx: &mut BucketEffects) {
        let Some(link) = self.table.get_mut(index) else { return };
        link.id.incarnation += 1;
        link.state = LinkState::Connecting;
        let (id, key) = (link.id, link.key.clone());
        fx.push(if link.fall.is_suspect() {
            BucketEffect::ConnectIfFree(id, key)
        } else {
            BucketEffect::Connect(id, key)
        });
    }

    /// Cancels the opening of a link.
    pub(super) fn abandon(&mut self, index: usize, fx: &mut BucketEffects) {
        let Some(link) = self.table.get_mut(index) else { return };
        link.state = LinkState::Idle;
        fx.push(BucketEffect::Abandon(link.id));
    }

    /// Closes a link, if it is open or being opened. It is opened again as long as it is wanted, at
    /// once and whoever else has a connection of its name.
    pub(super) fn restart(&mut self, index: usize, fx: &mut BucketEffects) {
        let Some(link) = self.table.get_mut(index) else { return };
        link.forget_failures();
        match link.state {
            LinkState::Up { .. } => self.close(index, fx),
            LinkState::Connecting => self.abandon(index, fx),
            LinkState::Waiting { .. } => link.open_now(),
            LinkState::Idle | LinkState::Closing => {}
        }
    }

    /// Closes the streams of a link, then the link.
    pub(super) fn close(&mut self, index: usize, fx: &mut BucketEffects) {
        self.run(index, Command::Shut, fx);
        if let Some(link) = self.table.get_mut(index) {
            link.state = LinkState::Closing;
        }
    }

    /// Gives a command to an open link. Returns the ticket of the answer.
    pub(super) fn run(
        &mut self,
        index: usize,
        command: Command,
        fx: &mut BucketEffects,
    ) -> Option<Ticket> {
        let link = self.table.get_mut(index)?;
        link.asked.extend(command.asks_for());
        let ticket = Ticket(self.commands);
        self.commands += 1;
        link.state = LinkState::Up { running: Some(ticket) };
        fx.push(BucketEffect::Run(link.id, ticket, command));
        Some(ticket)
    }

    /// Returns the next set-up of a link at `now`. Leaves out vBuckets that the consumer may have a
    /// stream of on another link (MB-29354), and those held back.
    pub(super) fn next_setup(
        &mut self,
        index: usize,
        held_back: &BTreeSet<VbId>,
        now: Duration,
    ) -> Option<Setup> {
        let (before, rest) = self.table.split_at_mut_checked(index)?;
        let (link, after) = rest.split_first_mut()?;
        let is_held = |vb| before.iter().chain(&*after).any(|other| other.may_hold(vb));
        link.wanted.next_setup(now, |vb| !is_held(vb) && !held_back.contains(&vb))
    }

    /// Whether the consumer may have a stream of this vBucket on another link.
    pub(super) fn is_held_elsewhere(&self, vb: VbId, key: &LinkKey) -> bool {
        self.table.iter().any(|link| link.key != *key && link.may_hold(vb))
    }

    /// Returns the next time at which a link has something to do. Streams on a reserved link wait
    /// for the end of the takeover, not for a time.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let free = self.table.iter().filter(|link| !self.is_reserved(link.id.index));
        free.filter_map(Link::next_due).min()
    }

    /// Logs the number of suppressed lines, once their window has ended.
    pub(super) fn log_suppressed(&mut self, now: Duration, fx: &mut BucketEffects) {
        for link in &mut self.table {
            for (kind, more) in link.lines.take_suppressed(now) {
                fx.push(kind.line(&link.name, &format!("more={more}")));
            }
        }
    }
}
