//! The commands that change what is wanted, and the one that stops. Moves are in `moves`, the queue
//! that all wait in is in `queue`.

use std::collections::{BTreeMap, BTreeSet};

use actix::{Context, Handler, Message};
use futures::channel::oneshot;
use mcbp::VbId;
use replica::plan::{Connections, Desired, PlanError, VbSet};

use super::ReplicationManager;
use super::link::Link;
use super::queue::Job;
use crate::error::CommandError;

/// What to change about what is wanted.
#[derive(Debug)]
pub(crate) enum Change {
    /// The whole map, by producer.
    All(BTreeMap<String, BTreeSet<VbId>>),
    /// One vBucket, from a producer or from nobody.
    One { vb: VbId, from: Option<String> },
    /// How many connections carry the streams of a producer.
    Connections(Connections),
}

/// Where the one answer of a [`SetWanted`] goes: how many streams are open, or what failed.
pub(super) type Changed = oneshot::Sender<Result<usize, CommandError>>;

/// Change what is wanted; answered when every stream concerned is open, closed or has failed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetWanted {
    pub(crate) change: Change,
    pub(crate) answer: Changed,
}

impl Handler<SetWanted> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, SetWanted { change, answer }: SetWanted, ctx: &mut Context<Self>) {
        self.queue(Job::Change { change, answer }, ctx);
    }
}

impl ReplicationManager {
    pub(super) fn change(&mut self, change: &Change) {
        match change {
            // Checked before it was queued.
            Change::All(map) => self.desired = checked(map).unwrap_or_default(),
            Change::One { vb, from } => self.desired.assign(*vb, from.as_deref()),
            Change::Connections(connections) => self.connections = *connections,
        }
    }

    /// A person who asks again does not wait for the backoff.
    pub(super) fn retry_now(&mut self, change: &Change) {
        let concerns = |vb| match change {
            Change::All(_) => true,
            Change::One { vb: one, .. } => vb == *one,
            Change::Connections(_) => false,
        };
        for link in &mut self.links {
            link.retry_now(concerns);
            for &vb in link.wanted.streams().keys().filter(|&&vb| concerns(vb)) {
                self.loops.mend(vb);
            }
        }
    }

    pub(super) fn is_settled(&self, change: &Change) -> bool {
        self.links.iter().all(|link| match change {
            Change::All(_) | Change::Connections(_) => link.is_settled(),
            Change::One { vb, .. } => link.is_settled_for(*vb),
        })
    }

    /// Answers a change that is settled, or whose time is up.
    pub(super) fn answer_change(&self, change: &Change, answer: Changed) {
        let concerns = |vb| match change {
            Change::All(_) | Change::Connections(_) => true,
            Change::One { vb: one, .. } => vb == *one,
        };
        let failures: Vec<_> = self.links.iter().flat_map(|link| link.failures(concerns)).collect();
        let open = self.links.iter().map(|link| link.wanted.open_count()).sum();
        let result =
            if failures.is_empty() { Ok(open) } else { Err(CommandError::Failed(failures)) };
        // The caller may have gone; the streams are kept all the same.
        _ = answer.send(result);
    }
}

/// The desired map, where no vBucket is wanted twice.
pub(super) fn checked(map: &BTreeMap<String, BTreeSet<VbId>>) -> Result<Desired, PlanError> {
    let set = |vbs: &BTreeSet<VbId>| {
        let mut set = VbSet::default();
        for &vb in vbs {
            set.insert(vb);
        }
        set
    };
    Desired::new(map.iter().map(|(producer, vbs)| (producer.clone(), set(vbs))).collect())
}

/// Close every stream and end; answered when no link is left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    pub(crate) answer: oneshot::Sender<()>,
}

impl Handler<Stop> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Context<Self>) {
        for command in std::mem::take(&mut self.commands) {
            if let Job::Move(moving) = &command.job {
                moving.abandon(ctx);
            }
            command.job.refuse(CommandError::Stopping);
        }
        self.tell_of_incomplete();
        self.desired = Desired::default();
        self.spread();
        self.reserved = None;
        self.stopping = Some(stop.answer);
        self.reconcile(ctx);
    }
}

impl ReplicationManager {
    pub(super) fn answer_stop(&mut self) {
        if self.links.iter().all(Link::is_stopped)
            && let Some(answer) = self.stopping.take()
        {
            // Whoever asked may have lost patience.
            _ = answer.send(());
        }
    }
}
