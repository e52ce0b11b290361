//! A change or a restart in the queue: what it asks for, and, once it is begun, what it concerns
//! and what it could not close.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::VbId;

use super::command::{Change, Restart};
use crate::link::{LinkStep, Outcome, Reason, VbError};

/// A queued or running change or restart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Work {
    pub(super) order: Order,
    pub(super) concerns: Concerns,
    /// Streams that were to be closed and may still be open at a node, with the producer of their
    /// link.
    unclosed: BTreeMap<VbId, (String, VbError)>,
}

/// What a caller asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Order {
    Change(Change),
    Restart(Restart),
}

/// What a change or a restart waits for, and answers for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Concerns {
    /// Every link.
    All,
    /// These vBuckets.
    Vbs(BTreeSet<VbId>),
    /// The links at these places of the table.
    Links(BTreeSet<usize>),
}

impl Concerns {
    /// Whether this vBucket on the link at this place is concerned.
    pub(super) fn has(&self, index: usize, vb: VbId) -> bool {
        match self {
            Self::All => true,
            Self::Vbs(vbs) => vbs.contains(&vb),
            Self::Links(links) => links.contains(&index),
        }
    }
}

impl Work {
    pub(super) const fn new(order: Order) -> Self {
        Self { order, concerns: Concerns::Vbs(BTreeSet::new()), unclosed: BTreeMap::new() }
    }

    /// Returns the first producer in the order that is not configured, if any.
    pub(super) fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        match &self.order {
            Order::Change(change) => change.unknown_producer(is_known),
            Order::Restart(restart) => restart.unknown_producer(is_known),
        }
    }

    /// Records what a link did not close. A lost connection closes its streams.
    pub(super) fn note_unclosed(&mut self, index: usize, producer: &str, outcome: &Outcome) {
        for error in outcome.errors().filter(|error| may_be_open(&error.reason)) {
            if self.concerns.has(index, error.vb) {
                self.unclosed.insert(error.vb, (producer.to_owned(), error.clone()));
            }
        }
    }

    /// Returns the streams that may still be open at a node.
    pub(super) fn unclosed(&self) -> impl Iterator<Item = (VbId, &str, &VbError)> {
        self.unclosed.iter().map(|(&vb, (producer, error))| (vb, producer.as_str(), error))
    }
}

/// Whether a stream may still be open after its close failed for this reason.
const fn may_be_open(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Deadline(LinkStep::CloseStream | LinkStep::Shut)
            | Reason::Refused { step: LinkStep::CloseStream, .. }
    )
}
