//! Which actions are possible, and what must hold in every state.

use mcbp::framing::Level;
use vbucket::durability::{Answer, Blocked};
use vbucket::row::document_key;

use crate::node::{Entry, Node, Stage, Write, is_replaced};
use crate::run::{Mistake, Run, Shape};
use crate::world::{Action, NAMES, Told, World};

impl World {
    pub fn actions(&self, run: &Run, actions: &mut Vec<Action>) {
        self.progress(actions);
        let leader = self.leader();
        if let Some(next) = run.writes.get(self.told.len())
            && !self.is_moving
            && leader.monitor.is_possible()
            && (leader.monitor.blocked(next.document).is_none()
                || run.mistake == Mistake::BlockedIgnored)
        {
            actions.push(Action::Write);
        }
        if self.left.faults > 0 {
            let has_queued = |at: &usize| self.nodes[*at].has_queued();
            actions.extend(self.up().map(Action::Restart));
            actions.extend(self.up().filter(has_queued).map(Action::BatchFails));
            // A committed write is lost with a majority of the disks, and that is no fault.
            let is_committed = leader.log.iter().any(|row| row.stage == Stage::Commit);
            if run.has_lost_disks && !is_committed && self.committed().next().is_none() {
                actions.extend(self.replicas().map(Action::DiskIsLost));
            }
        }
        self.orchestrate(run, actions);
    }

    /// What the orchestrator may do.
    fn orchestrate(&self, run: &Run, actions: &mut Vec<Action>) {
        actions.extend((0..3).filter(|&at| self.nodes[at].is_down).map(Action::Return));
        if self.left.failovers > 0 && self.up().count() == 3 {
            let most = self.replicas().map(|at| self.nodes[at].stored).max();
            let has_most = |&at: &usize| {
                Some(self.nodes[at].stored) == most || run.mistake == Mistake::AnyPromoted
            };
            actions.extend(self.replicas().filter(has_most).map(Action::FailOver));
        }
        if self.is_moving {
            return;
        }
        if self.left.moves > 0 {
            actions.push(Action::Deactivate);
        }
        if self.left.topologies > 0 {
            let is_new = |shape: &Shape| {
                let topology = self.topology(*shape, run.mistake);
                topology.as_ref() != self.leader().monitor.topology()
            };
            actions.extend(run.shapes.iter().copied().filter(is_new).map(Action::Topology));
        }
    }

    /// What happens without a client, a fault or an orchestrator.
    fn progress(&self, actions: &mut Vec<Action>) {
        let leader = self.leader();
        let has_queued = |at: &usize| self.nodes[*at].has_queued();
        actions.extend(self.up().filter(has_queued).map(Action::Store));
        for at in self.replicas() {
            let has = self.nodes[at].log.len();
            if has < leader.stored {
                actions.push(Action::Receive(at));
            }
            let mut missed = leader.disk().iter().enumerate().skip(has);
            if missed.any(|(row, &entry)| is_replaced(entry, &leader.disk()[row + 1..])) {
                actions.push(Action::ReceiveSnapshot(at));
            }
        }
        actions.extend(self.acks.iter().map(|&(at, high)| Action::Acknowledge(at, high)));
        if leader.monitor.next_deadline().is_some() {
            actions.push(Action::DeadlinePasses);
        }
        if self.is_moving && !leader.has_queued() {
            let has_all = |at: &usize| self.nodes[*at].log.len() == leader.log.len();
            actions.extend(self.up().filter(has_all).map(Action::Activate));
        }
    }

    fn is_quiet(&self) -> bool {
        let mut actions = Vec::new();
        self.progress(&mut actions);
        actions.is_empty()
    }

    /// Whether each chain has its majority of nodes that have stored the prepare.
    pub fn has_majority(&self, write: Write) -> bool {
        let has = |name: &str| {
            let at = NAMES.iter().position(|&known| known == name).unwrap();
            self.nodes[at].has_stored(Stage::Prepare, write)
        };
        let topology = self.leader().monitor.topology().unwrap();
        topology.chains().all(|chain| {
            let have = chain.iter().flatten().filter(|name| has(name)).count();
            2 * have > chain.len()
        })
    }

    /// The writes whose clients were told that they are committed.
    fn committed(&self) -> impl Iterator<Item = &Write> {
        let told = self.told.iter().filter(|it| it.1 == Some(Told::Answer(Answer::Committed)));
        told.map(|(write, _)| write)
    }

    /// What was committed is committed on the leader, or will be.
    pub fn keeps_what_is_committed(&self) -> bool {
        let leader = self.leader();
        self.committed().chain(self.seen.values()).all(|&write| {
            let is_pending = || {
                let mut rows = leader.monitor.rows();
                rows.any(|row| leader.write_at(row.seqno) == write)
            };
            !leader.has(Stage::Abort, write) && (leader.has_committed(write) || is_pending())
        })
    }

    /// Readers of a leader wait for what was seen as committed, or told, and is not committed there
    /// again.
    pub fn readers_wait(&self) -> bool {
        let leader = self.leader();
        self.is_moving
            || self.seen.values().chain(self.committed()).all(|&write| {
                leader.has_committed(write)
                    || leader.monitor.blocked(write.document) == Some(Blocked::Recommit)
            })
    }

    pub fn is_answered(&self) -> bool {
        !self.is_quiet() || self.told.iter().all(|(_, told)| told.is_some())
    }

    /// With a majority of its nodes up, a leader completes every write in the end.
    pub fn is_completed(&self) -> bool {
        let is_up = |name: &str| self.up().any(|at| NAMES[at] == name);
        let monitor = &self.leader().monitor;
        let is_satisfied = monitor
            .topology()
            .is_some_and(|topology| topology.is_satisfied(Level::PersistToMajority, true, is_up));
        monitor.is_empty() || !is_satisfied || !self.is_quiet()
    }

    /// With too few nodes no client waits, except for what is being committed again before.
    pub fn gives_up_at_once(&self) -> bool {
        let monitor = &self.leader().monitor;
        let waits_for = |reason: Blocked| {
            let mut rows = monitor.rows();
            rows.any(|row| monitor.blocked(document_key(&row.key)) == Some(reason))
        };
        self.is_moving
            || monitor.is_possible()
            || !waits_for(Blocked::InProgress)
            || waits_for(Blocked::Recommit)
    }

    /// Whether a write that readers have seen as committed is being committed again.
    pub fn commits_again(&self) -> bool {
        !self.is_moving && self.seen.values().any(|&write| !self.leader().has_committed(write))
    }
}

/// Writes are completed once, in the order in which they were prepared, which is that of their ids.
pub fn completes_in_order(node: &Node) -> bool {
    let is_completion = |row: &&Entry| matches!(row.stage, Stage::Commit | Stage::Abort);
    let ids = node.log.iter().filter(is_completion).map(|row| row.write.id);
    ids.is_sorted_by(|earlier, later| earlier < later)
}

/// A document has one pending prepare.
pub fn prepares_once(node: &Node) -> bool {
    let mut pending: Vec<&[u8]> = Vec::new();
    node.log.iter().all(|row| {
        let document = row.write.document;
        let is_pending = pending.contains(&document);
        match row.stage {
            Stage::Prepare => pending.push(document),
            _ => pending.retain(|&other| other != document),
        }
        row.stage != Stage::Prepare || !is_pending
    })
}

/// The machine knows what is pending in the log.
pub fn knows_what_is_pending(node: &Node) -> bool {
    let known = node.monitor.rows().map(|row| node.write_at(row.seqno));
    node.is_down || known.eq(node.pending().into_iter().map(|(_, write)| write))
}
