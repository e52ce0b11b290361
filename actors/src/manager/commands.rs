//! The commands of a manager: set the desired map, stop. One at a time, each with a deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::{Context, Handler, Message};
use futures::channel::oneshot;
use mcbp::VbId;
use replica::wanted::{StreamPhase, WantedStream};

use super::link::{Link, LinkState};
use super::{LinkSpec, ReplicationManager};
use crate::error::{CommandError, VbFailure};

/// Commands that may wait. A person or a program sends one and waits for its answer; sixteen are
/// several programs at once.
const COMMANDS_MAX: usize = 16;

type Desired = BTreeMap<String, BTreeSet<VbId>>;

/// Make this the desired map of the bucket; answered when every stream is open or has failed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetDesired {
    pub(crate) desired: Desired,
    pub(crate) answer: oneshot::Sender<Result<usize, CommandError>>,
}

/// A command that waits for its turn or, at the front, for its streams.
pub(super) struct Pending {
    /// `None` once it has begun.
    desired: Option<Desired>,
    answer: oneshot::Sender<Result<usize, CommandError>>,
    /// Time since the manager's start.
    pub(super) deadline: Duration,
}

impl Handler<SetDesired> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, command: SetDesired, ctx: &mut Context<Self>) {
        let SetDesired { desired, answer } = command;
        if let Err(error) = self.check(&desired) {
            // The caller may have gone.
            _ = answer.send(Err(error));
            return;
        }
        let deadline = self.now() + self.limits.command;
        self.commands.push_back(Pending { desired: Some(desired), answer, deadline });
        if self.commands.len() == 1 {
            self.begin_front();
        }
        self.reconcile(ctx);
    }
}

impl ReplicationManager {
    fn check(&self, desired: &Desired) -> Result<(), CommandError> {
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        if self.commands.len() >= COMMANDS_MAX {
            return Err(CommandError::Busy { waiting: self.commands.len() });
        }
        match desired.keys().find(|name| !self.producers.contains_key(*name)) {
            Some(producer) => Err(CommandError::NoProducer { producer: producer.clone() }),
            None => Ok(()),
        }
    }

    fn begin_front(&mut self) {
        let limit = self.limits.command;
        let now = self.now();
        let front = self.commands.front_mut();
        let desired = front.and_then(|command| {
            command.deadline = now + limit;
            command.desired.take()
        });
        if let Some(desired) = desired {
            self.want(&desired);
        }
    }

    /// Spreads the desired map over the links, and makes the links that are missing.
    fn want(&mut self, desired: &Desired) {
        let producers = std::sync::Arc::clone(&self.producers);
        for producer in producers.values() {
            let wanted = desired.get(&producer.name);
            for connection in 0..self.connections {
                let mine = |vb: &&VbId| vb.0 % u16::from(self.connections) == u16::from(connection);
                let share: BTreeSet<VbId> =
                    wanted.into_iter().flatten().filter(mine).copied().collect();
                let found = self.links.iter_mut().find(|link| {
                    link.spec.producer.name == producer.name && link.connection == connection
                });
                match found {
                    Some(link) => {
                        link.wanted.want(&share);
                        // A person who asks again does not wait for the backoff.
                        if matches!(link.state, LinkState::Waiting { .. }) {
                            link.state = LinkState::Idle;
                        }
                    }
                    None if share.is_empty() => {}
                    None => {
                        let mut link = Link::new(connection, self.spec(producer, connection));
                        link.wanted.want(&share);
                        self.links.push(link);
                    }
                }
            }
        }
    }

    fn spec(&self, producer: &relay::Endpoint, connection: u8) -> LinkSpec {
        let (from, to) = (&producer.name, &self.node.name);
        let name = replica::names::connection_name(from, to, &self.bucket, connection);
        LinkSpec {
            bucket: self.bucket.clone(),
            consumer: self.node.clone(),
            producer: producer.clone(),
            name: name.into(),
            limits: self.limits.clone(),
        }
    }

    /// Answers the command at the front where it is settled or its time is up, and begins the next
    /// one. Says whether it did.
    pub(super) fn answer_settled(&mut self) -> bool {
        let Some(front) = self.commands.front() else { return false };
        let late = front.deadline <= self.now();
        if !late && !self.links.iter().all(Link::is_settled) {
            return false;
        }
        let failures: Vec<_> = self.links.iter().flat_map(|link| self.failures(link)).collect();
        let open = self.links.iter().map(|link| link.wanted.open_count()).sum();
        if let Some(done) = self.commands.pop_front() {
            let answer =
                if failures.is_empty() { Ok(open) } else { Err(CommandError::Failed(failures)) };
            // The caller may have gone; the streams are kept all the same.
            _ = done.answer.send(answer);
        }
        self.begin_front();
        true
    }

    fn failures(&self, link: &Link) -> Vec<VbFailure> {
        let (bucket, producer) = (self.bucket.as_str(), link.spec.producer.name.as_str());
        let failure = |(&vb, stream): (&VbId, &WantedStream)| match (&link.state, stream.phase) {
            (LinkState::Waiting { .. }, _) => {
                let down = link.last_error.as_ref()?;
                Some(VbFailure::of_link(bucket, producer, vb, down))
            }
            (_, StreamPhase::Open) => None,
            (_, StreamPhase::Waiting { .. }) => {
                let error = stream.last_error.as_ref()?;
                Some(VbFailure::of_stream(bucket, producer, error))
            }
            (_, StreamPhase::Due | StreamPhase::Asked) => {
                Some(VbFailure::of_deadline(bucket, producer, vb))
            }
        };
        link.wanted.streams().iter().filter_map(failure).collect()
    }
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
        for command in self.commands.drain(..) {
            _ = command.answer.send(Err(CommandError::Stopping));
        }
        self.want(&Desired::new());
        self.stopping = Some(stop.answer);
        self.reconcile(ctx);
    }
}

impl ReplicationManager {
    pub(super) fn answer_stop(&mut self) {
        let idle = |link: &Link| matches!(link.state, LinkState::Idle);
        if self.links.iter().all(idle)
            && let Some(answer) = self.stopping.take()
        {
            // Whoever asked may have lost patience.
            _ = answer.send(());
        }
    }
}
