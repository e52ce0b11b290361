//! Changes and restarts: what they do when their turn has come, when they are settled, and their
//! results.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::{Side, VbId};

use super::command::{Change, CommandError, Done, Restart};
use super::effect::BucketEffects;
use super::event::Moment;
use super::failure::{Cause, VbFailure};
use super::link::StreamResult;
use super::machine::BucketMachine;
use super::work::{Concerns, Order, Work};
use crate::link::{LinkStep, Reason, VbError};
use crate::plan::{Connections, Desired, LinkKey, VbSet};

impl BucketMachine {
    /// Begins a change or a restart. Returns its deadline, or why it cannot begin.
    pub(super) fn begin(
        &mut self,
        work: &mut Work,
        at: Moment,
        fx: &mut BucketEffects,
    ) -> Result<Duration, CommandError> {
        work.concerns = match &work.order {
            Order::Change(change) => self.begin_change(change, at.now, fx),
            Order::Restart(restart) => self.begin_restart(restart, fx)?,
        };
        Ok(at.now + self.settings.command)
    }

    /// Applies the change to the desired map. Returns what it concerns.
    fn begin_change(&mut self, change: &Change, now: Duration, fx: &mut BucketEffects) -> Concerns {
        let named = change.named();
        self.taken_over.retain(|vb| !named.contains(vb));
        let concerns = match change {
            Change::All(desired) => {
                self.desired = desired.clone();
                Concerns::All
            }
            Change::Follow { desired, connections } => {
                let differs = self.follow(desired, *connections, now);
                if differs.is_empty() {
                    // No stream has another home, so no link has anything to do.
                    return Concerns::Vbs(differs);
                }
                Concerns::Vbs(differs)
            }
            Change::Add(added) => {
                for (producer, vbs) in added.producers() {
                    vbs.iter().for_each(|vb| self.desired.assign(vb, Some(producer)));
                }
                Concerns::Vbs(named)
            }
            Change::One { vb, from } => {
                self.desired.assign(*vb, from.as_deref());
                Concerns::Vbs(named)
            }
            Change::Connections(connections) => {
                self.connections = *connections;
                Concerns::All
            }
        };
        self.spread(fx);
        if !matches!(change, Change::Connections(_)) {
            self.retry_now(&concerns);
        }
        concerns
    }

    /// Takes map and connections of the sources. Returns the vBuckets whose link is another one, or
    /// none. What was taken over stays out while it is active here, as far as is known.
    fn follow(
        &mut self,
        desired: &Desired,
        connections: Connections,
        now: Duration,
    ) -> BTreeSet<VbId> {
        if let Some(active) = self.nodes.active_here(&self.settings, now) {
            self.taken_over.retain(|vb| active.contains(vb));
        }
        let before = homes(&self.desired, self.connections);
        self.desired = desired.clone();
        for &vb in &self.taken_over {
            self.desired.assign(vb, None);
        }
        self.connections = connections;
        let after = homes(&self.desired, connections);
        before.symmetric_difference(&after).map(|(vb, _)| *vb).collect()
    }

    /// Ends the backoff of what is concerned, and of its links: the operator asked for it.
    fn retry_now(&mut self, concerns: &Concerns) {
        for link in self.links.iter_mut() {
            let index = link.id.index;
            let concerned = |vb| concerns.has(index, vb);
            if link.wanted.streams().keys().any(|&vb| concerned(vb)) {
                link.streak.forget();
                self.failures.link_loops.reset(index);
            }
            link.retry_now(concerned);
            for &vb in link.wanted.streams().keys().filter(|&&vb| concerned(vb)) {
                self.failures.loops.reset(vb);
            }
        }
    }

    fn begin_restart(
        &mut self,
        restart: &Restart,
        fx: &mut BucketEffects,
    ) -> Result<Concerns, CommandError> {
        match restart {
            Restart::Links { producer, connection } => {
                let links = self.links_to(producer, *connection)?;
                self.retry_now(&Concerns::Links(links.clone()));
                for &index in &links {
                    self.links.restart(index, fx);
                }
                Ok(Concerns::Links(links))
            }
            Restart::Streams(vbs) => {
                self.check_wanted(vbs)?;
                let concerns = Concerns::Vbs(vbs.as_set().clone());
                self.retry_now(&concerns);
                for link in self.links.iter_mut() {
                    vbs.iter().for_each(|vb| link.wanted.restart(vb));
                }
                Ok(concerns)
            }
            Restart::Copies(vbs) => self.begin_copies(vbs),
        }
    }

    /// Makes copies anew whose streams are open. Each is closed and opened again as it is, which
    /// shows that its producer is there and has the vBucket. Then it is closed, rolled back to
    /// zero and opened. A copy that nobody can fill is left as it is.
    fn begin_copies(&mut self, vbs: &VbSet) -> Result<Concerns, CommandError> {
        self.check_wanted(vbs)?;
        let active: VbSet = vbs.iter().filter(|vb| self.is_active_here(*vb)).collect();
        if !active.is_empty() {
            let (bucket, node) = (&self.settings.bucket, &self.settings.node);
            let what = format!("vBucket {active} of bucket {bucket} is active at {node}, no copy");
            return Err(CommandError::NothingToRestart { what });
        }
        let shut: VbSet = vbs.iter().filter(|vb| !self.is_open_and_complete(*vb)).collect();
        if !shut.is_empty() {
            let bucket = &self.settings.bucket;
            let what = format!(
                "vBucket {shut} of bucket {bucket} has no open stream, so nobody could fill its \
                 copy again, and no copy was emptied"
            );
            return Err(CommandError::NothingToRestart { what });
        }
        let concerns = Concerns::Vbs(vbs.as_set().clone());
        for vb in vbs.iter() {
            self.copies.ask_renewal(vb);
            self.links.iter_mut().for_each(|link| link.wanted.restart(vb));
        }
        Ok(concerns)
    }

    /// Whether the stream of this copy is open, and nothing is to be done about it.
    fn is_open_and_complete(&self, vb: VbId) -> bool {
        let mut links = self.links.iter().filter(|it| it.wanted.streams().contains_key(&vb));
        !self.copies.is_unfinished(vb)
            && links.any(|link| matches!(link.stream_result(vb), StreamResult::Open))
    }

    /// Returns the places of the links to a producer that carry streams.
    fn links_to(
        &self,
        producer: &str,
        connection: Option<u8>,
    ) -> Result<BTreeSet<usize>, CommandError> {
        let of = |key: &LinkKey| {
            key.producer == producer && connection.is_none_or(|number| key.connection == number)
        };
        let links = self.links.iter().filter(|link| of(&link.key) && link.is_in_use());
        let links: BTreeSet<_> = links.map(|link| link.id.index).collect();
        if !links.is_empty() {
            return Ok(links);
        }
        let bucket = &self.settings.bucket;
        let what = match connection {
            None => format!("bucket {bucket} has no link to {producer}"),
            Some(number) => format!("bucket {bucket} has no connection {number} to {producer}"),
        };
        Err(CommandError::NothingToRestart { what })
    }

    fn check_wanted(&self, vbs: &VbSet) -> Result<(), CommandError> {
        let strangers: VbSet = vbs.iter().filter(|vb| self.desired.source(*vb).is_none()).collect();
        if strangers.is_empty() && !vbs.is_empty() {
            return Ok(());
        }
        let bucket = &self.settings.bucket;
        let which =
            if vbs.is_empty() { "in an empty set".to_owned() } else { strangers.to_string() };
        let what = format!("bucket {bucket} does not replicate vBucket {which}");
        Err(CommandError::NothingToRestart { what })
    }

    pub(super) fn is_settled(&self, work: &Work) -> bool {
        if let (Order::Restart(Restart::Copies(_)), Concerns::Vbs(vbs)) =
            (&work.order, &work.concerns)
        {
            return vbs.iter().all(|&vb| self.is_renewed(vb));
        }
        self.links.iter().all(|link| match &work.concerns {
            Concerns::All => link.is_settled(),
            Concerns::Vbs(vbs) => vbs.iter().all(|&vb| link.is_settled_for(vb)),
            Concerns::Links(links) => !links.contains(&link.id.index) || link.is_settled(),
        })
    }

    /// Whether the stream of a copy that is made anew is open, or has failed. A stream that waits
    /// without an error has rolled its copy back, and is about to be opened.
    fn is_renewed(&self, vb: VbId) -> bool {
        self.links.iter().filter(|link| link.wanted.streams().contains_key(&vb)).all(|link| {
            match link.stream_result(vb) {
                StreamResult::Open => !self.copies.is_unfinished(vb),
                StreamResult::Failed(_) | StreamResult::Held => true,
                StreamResult::Pending => false,
            }
        })
    }

    /// Returns the result of a change or a restart, settled or not.
    pub(super) fn result_of(&self, work: &Work) -> Result<Done, CommandError> {
        let mut failures: Vec<VbFailure> = Vec::new();
        for link in self.links.iter() {
            let concerned = |vb| work.concerns.has(link.id.index, vb);
            let producer = &link.key.producer;
            for (vb, cause) in link.failures(&self.settings.node, concerned) {
                failures.push(self.failure(vb, producer, cause));
            }
            for vb in link.unclosed().filter(|&vb| concerned(vb) && self.is_dropped(vb)) {
                let reason = Reason::Deadline(LinkStep::CloseStream);
                let error = VbError { vb, side: Side::Consumer, reason };
                failures.push(self.failure(vb, producer, Cause::Stream(error)));
            }
        }
        for (vb, producer, error) in work.unclosed().filter(|(vb, ..)| self.is_dropped(*vb)) {
            failures.push(self.failure(vb, producer, Cause::Unclosed(error.clone())));
        }
        let open = self.links.iter().map(|link| link.wanted.open_count()).sum();
        let is_renewal = matches!(work.order, Order::Restart(Restart::Copies(_)));
        let emptied: VbSet =
            failures.iter().map(|it| it.vb).filter(|&vb| self.copies.is_emptied(vb)).collect();
        if failures.is_empty() {
            Ok(Done::Changed { open })
        } else if is_renewal && !emptied.is_empty() {
            Err(CommandError::NotFilled { emptied, failures })
        } else {
            Err(CommandError::Failed(failures))
        }
    }

    fn is_dropped(&self, vb: VbId) -> bool {
        self.desired.source(vb).is_none()
    }

    /// Returns the failure of one vBucket of this bucket.
    pub(super) fn failure(&self, vb: VbId, producer: &str, cause: Cause) -> VbFailure {
        let cause = self.with_misfit(vb, producer, cause);
        let (bucket, producer) = (self.settings.bucket.clone(), producer.to_owned());
        VbFailure { bucket, producer, vb, cause }
    }
}

/// Returns every wanted vBucket with its link.
fn homes(desired: &Desired, connections: Connections) -> BTreeSet<(VbId, LinkKey)> {
    let links = desired.links(connections);
    let home =
        |(key, vbs): (LinkKey, BTreeSet<VbId>)| vbs.into_iter().map(move |vb| (vb, key.clone()));
    links.into_iter().flat_map(home).collect()
}
